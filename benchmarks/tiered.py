# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL alone, and with a cache in front: memory, and Redis.

Servers of its own, on loopback, in the folder of the run: the programs have to be
there. PostgreSQL is as durable as by default, Redis keeps nothing.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from benchmarks.apps import ANSWER, HEADERS, answer, guard
from benchmarks.layers import BARE, STEPS, calls
from benchmarks.table import Line
from benchmarks.timing import fastest
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import (
    Claim,
    Completion,
    Fingerprint,
    Identity,
    StoredResult,
)
from keyonce.stores.postgres import AsyncPostgresStore
from keyonce.stores.tiered import AsyncRedisCache, AsyncTiered, MemoryCache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.plan import Plan
    from benchmarks.timing import Batch
    from keyonce.core.protocols import AsyncStore

GROUP: Final = "in process, a cache before PostgreSQL"
ALONE: Final = "PostgreSQL"
KEYS: Final = {"2026": b"0123456789abcdef0123456789abcdef"}
RESULT: Final = StoredResult(201, HEADERS, ANSWER, size=len(ANSWER))


def measure(plan: Plan) -> Iterator[Line]:
    """Measure first requests and replays, through the middleware and bare verbs."""
    with ExitStack() as stack:
        postgres, redis = _servers(plan, stack)
        times = asyncio.run(_times(postgres, redis, plan.either(6, 40)))
    bare = times.pop(BARE)
    for what, took in times.items():
        kind, _, which = what.partition(", ")
        verb = kind.startswith(("claim", "both"))
        value = took if verb else took - bare
        alone = times[f"{kind}, {ALONE}"] - (0.0 if verb else bare)
        yield Line(
            group=GROUP,
            what=what,
            value=value,
            unit="µs" if verb else "µs added",
            ratio=None if which == ALONE else value / alone,
            against="" if which == ALONE else "× PostgreSQL alone",
        )


def _servers(plan: Plan, stack: ExitStack) -> tuple[str, str]:
    servers: Any = import_module("tests.servers.postgres")
    versions = servers.installed()
    newest = versions[max(versions, key=int)]
    postgres = servers.PostgresServer(newest).start()
    stack.callback(postgres.close)
    caches: Any = import_module("tests.servers.redis")
    settings = ("--save", "", "--appendonly", "no")
    redis = caches.RedisServer(caches.redis_program(), plan.folder / "redis", *settings)
    stack.callback(redis.start().stop)
    return postgres.url(postgres.new_database()), redis.url


async def _times(postgres: str, redis: str, rounds: int) -> dict[str, float]:
    stores: dict[str, AsyncStore] = {
        ALONE: AsyncPostgresStore(postgres),
        "memory before it": AsyncTiered(MemoryCache(), AsyncPostgresStore(postgres)),
        "Redis before it": AsyncTiered(
            AsyncRedisCache(redis),
            AsyncPostgresStore(postgres),
            keys=KEYS,
            current_key="2026",
            prefix="benchmark",
        ),
    }
    apps = {name: guard(answer, store) for name, store in stores.items()}
    batches: dict[str, Batch] = {BARE: calls(answer, "bare")}
    for name in stores:
        batches[f"first request, {name}"] = calls(apps[name], name.split()[0])
    for name in stores:
        batches[f"replay, {name}"] = calls(apps[name], name.split()[0])
    for name, store in stores.items():
        batches[f"both verbs of a first request, {name}"] = _firsts(store, name)
    for name, store in stores.items():
        batches[f"claim of a replay, {name}"] = _replays(store, name)
    times = await fastest(batches, rounds)
    for name, store in stores.items():
        await apps[name].close()
        await store.close()
    return times


def _firsts(store: AsyncStore, name: str) -> Batch:
    async def batch(turn: int) -> int:
        for step in range(STEPS):
            identity = Identity(name, "POST /orders", f"{turn}-{step}")
            claim = _claim(identity, b"first-----------")
            await store.claim(claim)
            await store.complete(Completion(identity, claim.owner, RESULT, 3600.0))
        return STEPS

    return batch


def _replays(store: AsyncStore, name: str) -> Batch:
    owners = itertools.count()

    async def batch(turn: int) -> int:
        for step in range(STEPS):
            identity = Identity(name, "POST /orders", f"{turn}-{step}")
            await store.claim(_claim(identity, b"%016d" % next(owners)))
        return STEPS

    return batch


def _claim(identity: Identity, owner: bytes) -> Claim:
    fingerprint = Fingerprint("1:raw", b"f" * 32)
    return Claim(identity, owner, fingerprint, Guarantee.AT_MOST_ONCE, 30.0, 3)
