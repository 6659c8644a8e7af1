# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Group commit: one thread carries out what came in meanwhile in one transaction.

A commit waits for the disk; jobs that arrive during one share the next. A job
that fails never harms another: the batch is rolled back and done one by one.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from keyonce.core.errors import IdempotencyError, StoreUnavailable
from keyonce.stores.sqlite.translate import translated

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from keyonce.stores.sqlite.database import Database
    from keyonce.stores.statement import Procedure

R = TypeVar("R")

LARGEST_BATCH: Final = 512


@dataclass(slots=True, eq=False)
class Order:
    """One job, where its answer goes, and the answer or the error once known."""

    job: Callable[[float], Procedure[Any]]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    deadline: float
    answer: Any = None
    error: BaseException | None = None


class GroupWriter:
    """The thread that writes for any number of event loops."""

    def __init__(self, database: Database) -> None:
        """Write to *database*; the thread starts with the first job."""
        self._database = database
        self._closed = False
        self._resets: dict[int, threading.Lock] = {}
        self._reset()

    def _reset(self) -> None:
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._queueing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()  # last: who sees it finds the rest new

    def write(self, job: Callable[[float], Procedure[R]]) -> asyncio.Future[R]:
        """Queue *job*; the future is done when its commit is on disk."""
        if self._pid != os.getpid():
            self._after_fork()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        order = Order(job, future, loop, self._database.deadline())
        with self._queueing:  # nothing may come in behind the end mark
            self._start()
            self._orders.put(order)
        return future

    def close(self) -> None:
        """Carry out what is queued and end the thread."""
        self._closed = True
        if self._pid != os.getpid():
            return
        with self._queueing:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._orders.put(None)
        if thread is not None:
            thread.join()

    def _after_fork(self) -> None:
        # The first of many threads gives all of them the same lock, a new one.
        with self._resets.setdefault(os.getpid(), threading.Lock()):
            if self._pid != os.getpid():
                self._reset()

    def _start(self) -> None:
        if self._closed:
            raise StoreUnavailable("This SQLite store is closed.")
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="keyonce-writer", daemon=True
            )
            self._thread.start()

    def _run(self) -> None:
        orders = self._orders
        while True:
            batch = [orders.get()]
            with suppress(queue.Empty):
                while batch[-1] is not None and len(batch) < LARGEST_BATCH:
                    batch.append(orders.get_nowait())
            self._serve([order for order in batch if order is not None])
            if batch[-1] is None:
                return

    def _serve(self, batch: list[Order]) -> None:
        # Whoever was cancelled before its turn must not leave a record behind.
        live = [order for order in batch if not order.future.cancelled()]
        if not live:
            return
        try:
            self._carry_out(live)
        except BaseException as error:  # noqa: BLE001 - this thread must go on
            for order in live:
                order.error = error
        _deliver(live)

    def _carry_out(self, orders: list[Order]) -> None:
        connections = self._database.connections.mine()
        deadline = min(order.deadline for order in orders)
        with translated():
            connection = connections.hold(deadline)
            try:
                if not self._together(connection, orders, deadline):
                    for order in orders:
                        self._alone(connection, order)
            finally:
                connections.let_go()
        self._database.upkeep.count(1 + len(orders) // 2)

    def _together(
        self, connection: sqlite3.Connection, orders: list[Order], deadline: float
    ) -> bool:
        """Do all *orders* in one transaction; say no when each is to be done alone.

        After a failed COMMIT that may have taken effect nothing is done again:
        whoever asked may repeat it.
        """
        self._database.begin(connection, deadline)
        try:
            for order in orders:
                self._do(connection, order)
            connection.execute("COMMIT")
        except BaseException as error:
            undone = self._database.connections.undo()
            if undone and len(orders) > 1 and isinstance(error, Exception):
                return False
            raise
        return True

    def _do(self, connection: sqlite3.Connection, order: Order) -> None:
        changes = connection.total_changes
        try:
            order.answer = self._database.carry_out(connection, order.job)
        except IdempotencyError as refusal:
            if connection.total_changes != changes:
                raise
            order.error = refusal  # it wrote nothing: the others can go on

    def _alone(self, connection: sqlite3.Connection, order: Order) -> None:
        order.error = None
        work = partial(self._database.carry_out, connection, order.job)
        try:
            with translated():
                order.answer = self._database.transact(connection, order.deadline, work)
        except Exception as error:  # noqa: BLE001 - it is told to who asked
            order.error = error


def _deliver(orders: list[Order]) -> None:
    """Wake each loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Order]] = defaultdict(list)
    for order in orders:
        by_loop[order.loop].append(order)
    for loop, theirs in by_loop.items():
        with suppress(RuntimeError):  # that loop has ended: nobody is left to tell
            loop.call_soon_threadsafe(_settle, theirs)


def _settle(orders: list[Order]) -> None:
    for order in orders:
        if order.future.done():
            continue
        if order.error is None:
            order.future.set_result(order.answer)
        else:
            order.future.set_exception(order.error)
