# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The open connections of one process to one file, and what a fork does to them.

SQLite keeps its locks per process and remembers them in memory. A child of a
fork inherits that memory but not the locks: even a connection that the child
opens itself then writes into a log that the parent may delete. So connections
are closed before a fork and opened again on both sides; a child that inherits
open ones all the same refuses to work.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from weakref import WeakMethod

from keyonce.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET_WITHIN: Final = 2.0


class Connections:
    """One connection that writes, with its lock, and as many that read as needed."""

    def __init__(self, opener: Callable[[bool], sqlite3.Connection]) -> None:
        """Open lazily by calling *opener* with `reads_only`."""
        self._opener = opener
        self._closed = False
        self._inherited: list[object] = []
        self._resets: dict[int, threading.Lock] = {}
        self._reset()
        if hasattr(os, "register_at_fork"):
            _watch_forks(self)

    def _reset(self) -> None:
        self.lock = threading.Lock()
        self._opening = threading.Lock()
        self._forking = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._open = 0
        self._writer: sqlite3.Connection | None = None
        self._held = False
        self.pid = os.getpid()  # last: who sees it finds the rest new

    def hold(self, deadline: float) -> sqlite3.Connection:
        """Give the connection that writes, to one thread until `let_go`."""
        if not self.lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise StoreUnavailable("The SQLite file is busy in this process.")
        try:
            if self._writer is None:
                self._check()
                self._writer = self._opener(False)  # noqa: FBT003 - a callback
        except BaseException:
            self.lock.release()
            raise
        return self._writer

    def let_go(self) -> None:
        """End what `hold` began."""
        self.lock.release()

    def undo(self) -> bool:
        """Roll back what the holder began; say whether that is certain.

        A connection that cannot roll back is dropped.
        """
        try:
            if self._writer is not None and self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
                return True
        except sqlite3.Error:
            self._close_writer()
        return False

    def take(self) -> sqlite3.Connection | None:
        """Give a connection that reads, if there is one idle."""
        if self.pid != os.getpid():
            self.after_in_child()  # the hooks were not called
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def borrow(self) -> sqlite3.Connection:
        """Give a connection that reads, for one thread until `give_back`."""
        idle = self.take()
        if idle is not None:
            return idle
        with self._opening:
            self._check()
            connection = self._opener(True)  # noqa: FBT003 - a callback
            self._open += 1
        return connection

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Take back what `borrow` gave."""
        self._idle.append(connection)
        if self._closed:
            self._close_idle()

    def mine(self) -> Connections:
        """Give itself, fit for this process."""
        if self.pid != os.getpid():
            self.after_in_child()  # the hooks were not called
        return self

    def close(self) -> None:
        """Close everything for good; what is in use closes when it comes back."""
        self._closed = True
        if self.pid != os.getpid():
            return
        with self.lock:
            self._close_writer()
        self._close_idle()

    def _check(self) -> None:
        if self._closed:
            raise StoreUnavailable("This SQLite store is closed.")
        if self._inherited:
            raise StoreUnavailable(
                "This process was forked while the SQLite file was in use, and cannot "
                "use it safely. Make the store after the fork, in the worker."
            )

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()
                self._open -= 1

    def before_fork(self) -> None:
        """Close what is open, waiting a moment for what is in use."""
        self._forking.acquire()  # another thread may be forking, too
        deadline = time.monotonic() + QUIET_WITHIN
        self._held = self.lock.acquire(timeout=QUIET_WITHIN)
        self._opening.acquire()
        if self._held:
            self._close_writer()
        self._close_idle()
        while self._open and time.monotonic() < deadline:
            time.sleep(0.001)
            self._close_idle()

    def after_in_parent(self) -> None:
        """Go on."""
        self._opening.release()
        if self._held:
            self.lock.release()
        self._forking.release()

    def after_in_child(self) -> None:
        """Start anew; never touch, close or finalise what was inherited."""
        # The first of many threads gives all of them the same lock, a new one.
        with self._resets.setdefault(os.getpid(), threading.Lock()):
            if self.pid == os.getpid():
                return
            if self._open > 0 or self._writer is not None:
                self._inherited.append((self._writer, self._idle, self.lock))
            self._reset()


def _watch_forks(connections: Connections) -> None:
    """Let the hooks find *connections* only while somebody uses it."""

    def weakly(method: Callable[[], None]) -> Callable[[], None]:
        reference = WeakMethod(method)

        def call() -> None:
            alive = reference()
            if alive is not None:
                alive()

        return call

    os.register_at_fork(
        before=weakly(connections.before_fork),
        after_in_parent=weakly(connections.after_in_parent),
        after_in_child=weakly(connections.after_in_child),
    )
