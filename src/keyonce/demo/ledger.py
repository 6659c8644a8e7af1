# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The shop's own database: one committed row for each effect, counted apart."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS effects (
    number INTEGER PRIMARY KEY,
    operation TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL,
    receipt TEXT NOT NULL,
    worker INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS effects_by_operation ON effects (operation);
CREATE TABLE IF NOT EXISTS holds (operation TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class Effect(NamedTuple):
    """Something that the shop did to the world: money taken, a room, a mail."""

    operation: str
    kind: str
    amount: int
    receipt: str
    worker: int


class Ledger:
    """The database of one shop, shared by its workers. Each call commits."""

    def __init__(self, path: Path) -> None:
        """Open the database at *path*."""
        self._connection = sqlite3.connect(path, timeout=10, isolation_level=None)
        # A killed process loses nothing that it has written: only power could.
        self._connection.execute("PRAGMA synchronous = NORMAL")

    @classmethod
    def make(cls, path: Path) -> Ledger:
        """Make the database at *path* before anybody else opens it."""
        ledger = cls(path)
        ledger._connection.execute("PRAGMA journal_mode = WAL")
        ledger._connection.executescript(_SCHEMA)
        return ledger

    def act(self, effect: Effect) -> None:
        """Do *effect*, for good: it is committed when this returns."""
        self._connection.execute(
            "INSERT INTO effects (operation, kind, amount, receipt, worker)"
            " VALUES (?, ?, ?, ?, ?)",
            effect,
        )

    def hold(self, operation: str) -> bool:
        """Say whether *operation* is to wait for its killer: the first time only."""
        held = self._connection.execute(
            "INSERT OR IGNORE INTO holds (operation) VALUES (?)", (operation,)
        )
        return held.rowcount > 0

    def effects(self, operation: str | None = None) -> list[Effect]:
        """Give all effects in their order, or those of one *operation*."""
        rows = self._connection.execute(
            "SELECT operation, kind, amount, receipt, worker FROM effects"
            " WHERE ?1 IS NULL OR operation = ?1 ORDER BY number",
            (operation,),
        )
        return [Effect(*row) for row in rows]

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()


def effects_in(path: Path) -> list[Effect]:
    """Read every effect in the ledger at *path*."""
    with closing(Ledger(path)) as ledger:
        return ledger.effects()
