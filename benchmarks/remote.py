# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL and Redis: the guarded app against the raw driver, and under uvicorn.

Servers of its own, on loopback, each as durable as the store asks for: the programs
have to be there.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from benchmarks.apps import URL, answer, guard
from benchmarks.drivers import drivers_for
from benchmarks.kept import Kept
from benchmarks.layers import BARE, STEPS, calls
from benchmarks.load import FIRST, REPLAY
from benchmarks.servers import uvicorn
from benchmarks.table import Line
from benchmarks.timing import fastest
from keyonce.stores.postgres import AsyncPostgresStore
from keyonce.stores.postgres.asyncpg_pool import AsyncpgPool
from keyonce.stores.redis import AsyncRedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.drivers import Driver
    from benchmarks.plan import Plan
    from benchmarks.timing import Batch
    from keyonce.core.protocols import AsyncStore

GROUP: Final = "in process, raw driver beside it"
SERVED: Final = "uvicorn, 32 clients, remote stores"
FLOOR: Final = 2.0
MOST: Final = {"redis-py, first": 120.0, "redis-py, replay": 60.0}  # µs
SHARES: Final = {
    "PostgreSQL, first": 0.20,
    "PostgreSQL, replay": 0.60,
    "Redis, first": 0.35,
    "Redis, replay": 0.60,
}


def measure(plan: Plan) -> Iterator[Line]:
    """Measure first requests and replays."""
    with ExitStack() as stack:
        postgres, redis = _servers(plan, stack)
        yield from _beside(asyncio.run(_times(postgres, redis, plan.either(6, 40))))
        yield from _kept(plan, postgres, redis)


def _servers(plan: Plan, stack: ExitStack) -> tuple[str, str]:
    servers: Any = import_module("tests.servers.postgres")
    versions = servers.installed()
    postgres = servers.PostgresServer(versions[max(versions, key=int)]).start()
    stack.callback(postgres.close)
    others: Any = import_module("tests.servers.redis")
    redis = others.RedisServer(others.redis_program(), plan.folder / "redis")
    stack.callback(redis.start().stop)
    return postgres.url(postgres.new_database()), redis.url


def _beside(times: dict[str, float]) -> Iterator[Line]:
    bare = times.pop(BARE)
    for what in [each for each in times if not each.startswith("raw ")]:
        least, added = times[f"raw {what}"], times[what] - bare
        yield Line(group=GROUP, what=f"raw {what}", value=least, unit="µs")
        most = MOST.get(what, float("inf"))
        bound = "" if what not in MOST else f", ≤ {most:.0f} µs"
        yield Line(
            group=GROUP,
            what=what,
            value=added,
            unit="µs added",
            ratio=added / least,
            against="× raw",
            target=f"≤ {FLOOR:.0f} × raw{bound}",
            met=added <= min(FLOOR * least, most),
        )


async def _times(postgres: str, redis: str, rounds: int) -> dict[str, float]:
    drivers = await drivers_for(postgres, redis)
    async with asyncpg.create_pool(postgres, min_size=1, max_size=4) as pool:
        stores: dict[str, AsyncStore] = {
            "psycopg": AsyncPostgresStore(postgres),
            "asyncpg": AsyncPostgresStore(AsyncpgPool(pool, url=postgres)),
            "redis-py": AsyncRedisStore(redis),
        }
        apps = {name: guard(answer, store) for name, store in stores.items()}
        batches: dict[str, Batch] = {BARE: calls(answer, "bare")}
        for name, driver in drivers.items():
            batches[f"raw {name}, first"] = _firsts(driver, name)
            batches[f"{name}, first"] = calls(apps[name], name)
            batches[f"raw {name}, replay"] = _reads(driver, name)
            batches[f"{name}, replay"] = calls(apps[name], name)
        times = await fastest(batches, rounds)
        for name, store in stores.items():
            await apps[name].close()
            await store.close()
            await drivers[name].close()
    return times


def _firsts(driver: Driver, name: str) -> Batch:
    async def batch(turn: int) -> int:
        for step in range(STEPS):
            key = f"{name}-{turn:08}-{step:04}"
            await driver.claim(key)
            await driver.complete(key)
        return STEPS

    return batch


def _reads(driver: Driver, name: str) -> Batch:
    async def batch(turn: int) -> int:
        for step in range(STEPS):
            await driver.read(f"{name}-{turn:08}-{step:04}")
        return STEPS

    return batch


def _kept(plan: Plan, postgres: str, redis: str) -> Iterator[Line]:
    seconds, rounds = plan.either(1.0, 3.0), plan.either(1, 5)
    kept = Kept(SERVED, "bare app")
    with (
        uvicorn("bare") as bare,
        uvicorn("remote", {URL: postgres}) as tables,
        uvicorn("remote", {URL: redis}) as keys,
    ):
        for turn in range(rounds):
            for mode in (FIRST, REPLAY):
                base = bare.load(FIRST, seconds, f"bare-{turn}")
                for name, server in {"PostgreSQL": tables, "Redis": keys}.items():
                    told = server.load(mode, seconds, f"{mode}-{turn}")
                    kept.note(f"{name}, {mode}", base, told)
    yield from kept.lines(SHARES)
