# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""SQLite: the guarded app against the raw driver, in the same run, on the same disk.

The floor is what cannot be left out: one commit that claims a key and one that
completes it, in the loop's own thread; and one indexed read for a replay.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Final

from benchmarks.apps import ANSWER, answer, guard
from benchmarks.layers import BARE, STEPS, calls
from benchmarks.table import Line
from benchmarks.timing import fastest
from keyonce.stores.sqlite import AsyncSQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.plan import Plan
    from benchmarks.timing import Batch

GROUP: Final = "in process, SQLite FULL"
FIRST_FLOOR: Final = 2.0
REPLAY_FLOOR: Final = 3.0
REPLAY_MOST: Final = 15.0

SIMPLEST: Final = """
CREATE TABLE answers (
    scope TEXT NOT NULL, operation TEXT NOT NULL, key TEXT NOT NULL,
    digest BLOB, status INTEGER, body BLOB,
    PRIMARY KEY (scope, operation, key)
) WITHOUT ROWID
"""
SCOPE: Final = "a-scope-of-22-letters-"
OPERATION: Final = "POST /orders"


def measure(plan: Plan) -> Iterator[Line]:
    """Measure first requests and replays."""
    times = asyncio.run(_times(plan.folder, plan.either(8, 40)))
    bare = times[BARE]
    first, replay = times["first"] - bare, times["replay"] - bare
    least, look = times["floor first"], times["floor replay"]
    yield Line(group=GROUP, what="raw driver: claim, complete", value=least, unit="µs")
    yield Line(
        group=GROUP,
        what="first request",
        value=first,
        unit="µs added",
        ratio=first / least,
        against="× raw",
        target=f"≤ {FIRST_FLOOR:.0f} × raw",
        met=first <= FIRST_FLOOR * least,
    )
    yield Line(group=GROUP, what="raw driver: read", value=look, unit="µs")
    yield Line(
        group=GROUP,
        what="replay",
        value=replay,
        unit="µs added",
        ratio=replay / look,
        against="× raw",
        target=f"≤ {REPLAY_FLOOR:.0f} × raw, ≤ {REPLAY_MOST:.0f} µs",
        met=replay <= min(REPLAY_FLOOR * look, REPLAY_MOST),
    )


async def _times(folder: Path, rounds: int) -> dict[str, float]:
    store = AsyncSQLiteStore(folder / "guarded.db")
    raw = open_raw(folder / "raw.db")
    app = guard(answer, store)
    batches: dict[str, Batch] = {
        BARE: calls(answer, "bare"),
        "floor first": _claims(raw),
        "floor replay": _reads(raw),
        "first": calls(app, "k"),
        "replay": calls(app, "k"),
    }
    times = await fastest(batches, rounds)
    await app.close()
    await store.close()
    raw.close()
    return times


def open_raw(path: Path) -> sqlite3.Connection:
    """Make the simplest table that could do, as durable as ours."""
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("PRAGMA wal_autocheckpoint = 0")
    raw.execute(SIMPLEST)
    return raw


def _claims(raw: sqlite3.Connection) -> Batch:
    async def batch(turn: int) -> int:
        for step in range(STEPS):
            key = f"{turn:08}-{step:04}"
            raw.execute("BEGIN IMMEDIATE")
            insert_raw(raw, key)
            raw.execute("COMMIT")
            raw.execute("BEGIN IMMEDIATE")
            complete_raw(raw, key)
            raw.execute("COMMIT")
        return STEPS

    return batch


def insert_raw(raw: sqlite3.Connection, key: str) -> None:
    """Claim *key* in the simplest table."""
    raw.execute(
        "INSERT INTO answers (scope, operation, key, digest) VALUES (?, ?, ?, ?)",
        (SCOPE, OPERATION, key, b"d" * 32),
    )


def complete_raw(raw: sqlite3.Connection, key: str) -> None:
    """Complete *key* in the simplest table."""
    raw.execute(
        "UPDATE answers SET status = 201, body = ?"
        " WHERE scope = ? AND operation = ? AND key = ?",
        (ANSWER, SCOPE, OPERATION, key),
    )


def _reads(raw: sqlite3.Connection) -> Batch:
    async def batch(turn: int) -> int:
        for step in range(STEPS):
            raw.execute(
                "SELECT digest, status, body FROM answers"
                " WHERE scope = ? AND operation = ? AND key = ?",
                (SCOPE, OPERATION, f"{turn:08}-{step:04}"),
            ).fetchall()
        return STEPS

    return batch
