# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that keeps the file small: checkpoints, and purging what expired.

Both stay off the path of a claim. A checkpoint inside a claim costs it
milliseconds; here it runs beside the traffic. Only when the log has grown large
does one hold the write lock for a moment, so that the log begins anew; when it
has grown huge, behind a reader that would not end, it is cut off.
"""

from __future__ import annotations

import os
import random
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keyonce.stores.rounds import Rounds
from keyonce.stores.sqlite import procedures
from keyonce.stores.sqlite.translate import translated

if TYPE_CHECKING:
    from datetime import timedelta

    from keyonce.stores.sqlite.database import Database

COMMITS: Final = 1000
# SQLite syncs the file only when a checkpoint comes to the end of the log, which
# beside traffic it does under the lock alone: the more was moved, the longer.
WAL_LARGE: Final = 16 * 1024 * 1024
HUGE: Final = 4
FRAME: Final = 4096 + 24
BATCH: Final = 20
TRIES: Final = 20


class Upkeep:
    """Works in the background from the first write on."""

    def __init__(self, database: Database, purge_every: timedelta | None) -> None:
        """Purge about every *purge_every*, with jitter; None leaves it to others."""
        self._database = database
        self._every = None if purge_every is None else purge_every.total_seconds()
        self._wal = Path(f"{database.path}-wal")
        self.wal_large = WAL_LARGE
        self._rounds = Rounds("purging and checkpoints")
        self._resets: dict[int, threading.Lock] = {}
        self._reset()

    def _reset(self) -> None:
        self._commits = 0
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._pid = os.getpid()  # last: who sees it finds the rest new

    def _after_fork(self) -> None:
        # The first of many threads gives all of them the same lock, a new one.
        with self._resets.setdefault(os.getpid(), threading.Lock()):
            if self._pid != os.getpid():
                self._reset()

    def count(self, commits: int) -> None:
        """Take note of *commits*, and of large outcomes as so many more."""
        self._commits += commits
        if self._thread is None or self._pid != os.getpid():
            self._start()
        if self._commits >= COMMITS:
            self._commits = 0
            self._wake.set()

    def close(self) -> None:
        """End the thread, after what it is doing."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(timeout=10)

    def _start(self) -> None:
        if self._pid != os.getpid():
            self._after_fork()
        with self._starting:
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(
                    target=self._run, name="keyonce-upkeep", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        purge_at = self._next_purge()
        while not self._stopping:
            wait = None if purge_at is None else max(0.0, purge_at - time.monotonic())
            woken = self._wake.wait(wait)
            self._wake.clear()
            if self._stopping:
                return
            with self._rounds:
                if woken:
                    self.checkpoint()
                else:
                    self._purge()
            if not woken:
                purge_at = self._next_purge()

    def _next_purge(self) -> float | None:
        if self._every is None:
            return None
        return time.monotonic() + self._every * random.uniform(0.75, 1.25)

    def _purge(self) -> None:
        purged = BATCH
        while purged == BATCH and not self._stopping:
            began = time.monotonic()
            purged = self._database.write(partial(procedures.purge, BATCH))
            # Leave the write lock to the traffic for longer than it was held.
            time.sleep(max(0.002, 2 * (time.monotonic() - began)))
            self.count(purged)  # each of them touches pages of its own
            if self._wake.is_set():
                self._wake.clear()
                self.checkpoint()

    def checkpoint(self) -> None:
        """Move what can be moved from the log into the file."""
        _, frames = self._checkpoint("PASSIVE")
        if self.log_size() >= HUGE * self.wal_large:
            self._holding_the_lock("TRUNCATE")  # slow: it gives the disk space back
        elif frames * FRAME >= self.wal_large:
            self._holding_the_lock("RESTART")

    def _holding_the_lock(self, mode: str) -> None:
        """Let the log begin anew; not while somebody reads from its end."""
        for _ in range(TRIES):
            with self._database.connections.mine().lock:
                done, _ = self._checkpoint(mode)
            if done or self._stopping:
                return
            time.sleep(0.005)

    def _checkpoint(self, mode: str) -> tuple[bool, int]:
        """Say whether it came to its end, and how many frames the log has."""
        connections = self._database.connections
        with translated():
            connection = connections.borrow()
            try:
                pragma = f"PRAGMA wal_checkpoint({mode})"
                busy, frames, _ = connection.execute(pragma).fetchone()
            finally:
                connections.give_back(connection)
        return not busy, frames

    def log_size(self) -> int:
        """Give the size of the write-ahead log in bytes."""
        try:
            return self._wal.stat().st_size
        except OSError:
            return 0
