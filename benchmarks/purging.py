# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Purging many expired keys beside live traffic: what a claim feels of it."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Final

from benchmarks.keys import claim_of, fill
from benchmarks.table import Line
from benchmarks.timing import percentile
from keyonce.stores.sqlite import AsyncSQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.plan import Plan

GROUP: Final = "purge, SQLite FULL"
SLOWER: Final = 2.0
WORST: Final = 0.99
PAUSE: Final = 0.002


def measure(plan: Plan) -> Iterator[Line]:
    """Measure the slowest hundredth of claims, with and without a purge."""
    keys, seconds = plan.either(20_000, 1_000_000), plan.either(3.0, 20.0)
    path = plan.folder / "purged.db"
    fill(path, keys, expired=True)
    calm = asyncio.run(_claims(path, "calm", seconds, purge_every=None))
    left = _stored(path)
    purging = timedelta(milliseconds=1)
    busy = asyncio.run(_claims(path, "busy", seconds, purge_every=purging))
    purged = left + len(busy) - _stored(path)
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


async def _claims(
    path: Path, run: str, seconds: float, *, purge_every: timedelta | None
) -> list[float]:
    store = AsyncSQLiteStore(path, purge_every=purge_every)
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


def _stored(path: Path) -> int:
    async def count_all() -> int:
        store = AsyncSQLiteStore(path, purge_every=None)
        stats = await store.stats()
        await store.close()
        return sum(stats.counts.values())

    return asyncio.run(count_all())


def _p99(took: list[float]) -> float:
    return percentile(took, WORST)
