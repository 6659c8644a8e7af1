# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a claim costs in a file of many keys, and what a key takes on the disk."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from benchmarks.apps import ANSWER, HEADERS
from benchmarks.floor import complete_raw, insert_raw, open_raw
from benchmarks.keys import claim_of, completion_of, fill
from benchmarks.table import Line
from benchmarks.timing import median
from keyonce.core.model import StoredResult
from keyonce.stores.sqlite import AsyncSQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.plan import Plan

GROUP: Final = "growth, SQLite FULL"
FEW: Final = 10_000
GROWN: Final = 1.3
CLAIMS: Final = 400
AT_ONCE: Final = 400
DISK: Final = 1.25
OUTCOME: Final = StoredResult(201, HEADERS[:1], ANSWER[:300], size=300)


def measure(plan: Plan) -> Iterator[Line]:
    """Measure claims among few and among many keys; then bytes."""
    yield from _claims(plan)
    yield _disk(plan)


def _claims(plan: Plan) -> Iterator[Line]:
    many = plan.either(100_000, 1_000_000)
    few_path, many_path = plan.folder / "few.db", plan.folder / "many.db"
    fill(few_path, FEW, expired=False)
    fill(many_path, many, expired=False)
    few, more = asyncio.run(_in_turns(few_path, many_path))
    yield Line(group=GROUP, what=f"claim among {FEW:,} keys", value=few, unit="µs")
    yield Line(
        group=GROUP,
        what=f"claim among {many:,} keys",
        value=more,
        unit="µs",
        ratio=more / few,
        against=f"× {FEW:,}",
        target=f"≤ {GROWN} ×",
        met=more <= GROWN * few,
    )


async def _in_turns(*paths: Path) -> list[float]:
    stores = [AsyncSQLiteStore(path, purge_every=None) for path in paths]
    took: list[list[float]] = [[] for _ in stores]
    for step in range(CLAIMS):
        for store, times in zip(stores, took, strict=True):
            began = time.perf_counter()
            await store.claim(claim_of(f"claimed-{step}"))
            times.append((time.perf_counter() - began) * 1e6)
    for store in stores:
        await store.close()
    return [median(times) for times in took]


def _disk(plan: Plan) -> Line:
    keys = plan.either(4_000, 20_000)
    ours = asyncio.run(_ours(plan.folder / "ours.db", keys)) / keys
    simplest = _simplest(plan.folder / "simplest.db", keys) / keys
    return Line(
        group=GROUP,
        what="disk for a key with a 300-byte answer",
        value=ours,
        unit="bytes",
        ratio=ours / simplest,
        against="× simplest",
        target=f"≤ {DISK} × simplest",
        met=ours <= DISK * simplest,
    )


async def _ours(path: Path, keys: int) -> int:
    store = AsyncSQLiteStore(path, purge_every=timedelta(days=1))
    for start in range(0, keys, AT_ONCE):
        await asyncio.gather(
            *(_one(store, number) for number in range(start, start + AT_ONCE))
        )
    await store.close()
    return _size(path)


async def _one(store: AsyncSQLiteStore, number: int) -> None:
    command = claim_of(key_of(number))
    await store.claim(command)
    await store.complete(completion_of(command, OUTCOME))


def _simplest(path: Path, keys: int) -> int:
    raw = open_raw(path)
    raw.execute("BEGIN")
    for number in range(keys):
        insert_raw(raw, key_of(number))
        complete_raw(raw, key_of(number))
    raw.execute("COMMIT")
    raw.close()
    return _size(path)


def key_of(number: int) -> str:
    """Give a key as long as a UUID, in no order."""
    mixed = number * 0x9E3779B97F4A7C15 % 2**64
    return f"{mixed:016x}-4f5e-8a1b-{number:010x}"


def _size(path: Path) -> int:
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages: int = raw.execute("PRAGMA page_count").fetchone()[0]
    page: int = raw.execute("PRAGMA page_size").fetchone()[0]
    raw.close()
    return pages * page
