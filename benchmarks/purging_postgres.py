# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Purging many expired keys of PostgreSQL beside live traffic: what a claim feels."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import psycopg

from benchmarks.keys import OPERATION, SCOPE, claim_of
from benchmarks.table import Line
from benchmarks.timing import percentile
from keyonce.core.codec import encode
from keyonce.core.model import StoredResult
from keyonce.stores.postgres import AsyncPostgresStore
from tests.servers.postgres import PostgresServer, installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.plan import Plan

GROUP: Final = "purge, PostgreSQL"
SLOWER: Final = 2.0
WORST: Final = 0.99
PAUSE: Final = 0.002
OFTEN: Final = timedelta(milliseconds=1)
SETTINGS: Final = {"shared_buffers": "256MB", "max_wal_size": "4GB"}

# What the store itself would have written for completed work.
RECORDS: Final = """
INSERT INTO keyonce_records (
    status, guarantee, owner, executions, crashes, created_at, claimed_at, lease_for,
    ended_at, expires_at, scheme, digest, scope, operation, key, result
)
SELECT
    2, 3, substring(sha256(n::TEXT::BYTEA) FROM 1 FOR 16), 1, 0, t, t, 30, t,
    t + n / 1e6, 'v1', sha256(n::TEXT::BYTEA), %s, %s,
    encode(substring(sha256(n::TEXT::BYTEA) FROM 1 FOR 16), 'hex'), %s
FROM
    generate_series(1, %s) AS n,
    (SELECT extract(EPOCH FROM now())::FLOAT8 - 100000 AS t) AS c
"""


def measure(plan: Plan) -> Iterator[Line]:
    """Measure the slowest hundredth of claims, with and without a purge."""
    keys, seconds = plan.either(20_000, 1_000_000), plan.either(3.0, 20.0)
    with _server() as url:
        _fill(url, keys)
        calm = asyncio.run(_claims(url, "calm", seconds, None))
        left = _expired(url)
        busy = asyncio.run(_claims(url, "busy", seconds, OFTEN))
        purged = left - _expired(url)
    yield Line(group=GROUP, what="claim, p99, no purge", value=_p99(calm), unit="µs")
    yield Line(
        group=GROUP,
        what=f"claim, p99, while {keys:,} keys are purged",
        value=_p99(busy),
        unit="µs",
        ratio=_p99(busy) / _p99(calm),
        against="× without",
        target=f"≤ {SLOWER:.0f} × without",
        met=_p99(busy) <= SLOWER * _p99(calm),
    )
    yield Line(
        group=GROUP,
        what="keys purged beside the traffic",
        value=purged / seconds,
        unit="keys/s",
    )


@contextmanager
def _server() -> Iterator[str]:
    versions = installed()  # type: ignore[no-untyped-call]
    newest = versions[max(versions, key=int)]
    server: Any = PostgresServer(newest, **SETTINGS)  # type: ignore[no-untyped-call]
    server.start()
    try:
        yield server.url(server.new_database())
    finally:
        server.close()


def _fill(url: str, keys: int) -> None:
    asyncio.run(_made(url))
    outcome = encode(StoredResult(201, (), b"n" * 300, size=300))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(RECORDS, [SCOPE, OPERATION, outcome, keys])
        connection.execute("VACUUM ANALYZE keyonce_records")
        connection.execute("CHECKPOINT")


async def _made(url: str) -> None:
    await AsyncPostgresStore(url, purge_every=None).close()


async def _claims(
    url: str, run: str, seconds: float, purge_every: timedelta | None
) -> list[float]:
    store = AsyncPostgresStore(url, purge_every=purge_every)
    took: list[float] = []
    until = time.monotonic() + seconds
    for number in count():
        if time.monotonic() >= until:
            break
        began = time.perf_counter()
        await store.claim(claim_of(f"{run}-{number}"))
        took.append((time.perf_counter() - began) * 1e6)
        await asyncio.sleep(PAUSE)
    await store.close()
    return took


def _expired(url: str) -> int:
    asked = "SELECT count(*) FROM keyonce_records WHERE expires_at IS NOT NULL"
    with psycopg.connect(url) as connection:
        row = connection.execute(asked).fetchone()
    return 0 if row is None else int(row[0])


def _p99(took: list[float]) -> float:
    return percentile(took, WORST)
