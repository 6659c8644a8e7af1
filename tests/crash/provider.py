# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A provider that deduplicates by key, and workers of its that die or reconcile.

Run as ``python -m tests.crash.provider MODE STORE PROVIDER``.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from keyonce.core.guarantee import Guarantee
from keyonce.core.policy import Policy
from keyonce.core.reconcile import (
    CompletedWith,
    NeverHappened,
    ReconcileAnswer,
    UnknownWork,
)
from keyonce.engine.once import Once
from keyonce.engine.reconciler import Reconciler
from keyonce.engine.sync import Guard
from keyonce.engine.work import current_work
from keyonce.stores.url import open_store

LEASE = timedelta(seconds=0.3)


class Provider:
    """Charges once for each key, and knows what it has charged."""

    def __init__(self, path: str) -> None:
        self._path = path
        with closing(self._open()) as database, database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS charges "
                "(id INTEGER PRIMARY KEY, key TEXT UNIQUE, amount INTEGER)"
            )

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=20)

    def charge(self, key: str, amount: int) -> int:
        with closing(self._open()) as database, database:
            database.execute(
                "INSERT OR IGNORE INTO charges (key, amount) VALUES (?, ?)",
                (key, amount),
            )
        found = self.find(key)
        assert found is not None
        return found

    def find(self, key: str) -> int | None:
        with closing(self._open()) as database:
            row = database.execute(
                "SELECT id FROM charges WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else int(row[0])

    def effects(self) -> int:
        with closing(self._open()) as database:
            count = database.execute("SELECT count(*) FROM charges").fetchone()
        return int(count[0])


class Till:
    """The guarded function ``charge`` over *store* and *provider*."""

    def __init__(
        self, store: str, provider: str, guarantee: str, *, dies: str = ""
    ) -> None:
        self.provider = Provider(provider)
        self.store = open_store(store)
        self.guard = Guard(self.store)
        self.dies = dies
        policy = Policy(
            guarantee=Guarantee(guarantee),
            lease=LEASE,
            in_flight="wait",  # type: ignore[arg-type]
            patience=timedelta(seconds=20),
            reconcile=self.asks,
        )
        guarded = self.guard.once(
            "charge", key=lambda order, amount: order, policy=policy
        )
        self.charge: Once[[str, int], dict[str, Any]] = guarded(self._charge)

    def _charge(self, order: str, amount: int) -> dict[str, Any]:
        if self.dies == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        key = current_work().downstream_key("charge")
        charge = self.provider.charge(key, amount)
        if self.dies == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return {"order": order, "charge": charge}

    def asks(self, work: UnknownWork) -> ReconcileAnswer:
        charge = self.provider.find(work.downstream_key("charge"))
        if charge is None:
            return NeverHappened()
        return CompletedWith({"order": work.identity.key, "charge": charge})

    def close(self) -> None:
        self.guard.close()
        self.store.close()


def main(mode: str, store: str, provider: str, guarantee: str) -> None:
    if mode == "reconcile":
        till = Till(store, provider, guarantee)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        asked = Reconciler(till.guard, batch=1000).round()
        sys.stdout.write(f"{asked}\n")
        till.close()
        return
    till = Till(store, provider, guarantee, dies=mode)
    till.charge(Path(provider).stem, 100)


if __name__ == "__main__":
    main(*sys.argv[1:])
