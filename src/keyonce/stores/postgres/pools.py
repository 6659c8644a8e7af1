# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Pools of psycopg connections, our own or a user's, as the verbs use them.

A pool of our own is opened when it is first needed, anew in each process and for
each loop. A user's is used as it stands: its connections are set to autocommit while
a verb has them, prepare nothing, and go back as they were.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg

from keyonce.core.errors import StoreUnavailable
from keyonce.core.flow import arun, run
from keyonce.stores.postgres.performing import aperform, perform
from keyonce.stores.postgres.queries import bare_queries
from keyonce.stores.postgres.translate import STRANDED, UNPREPARED, sqlstate_of
from keyonce.stores.statement import Statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from psycopg_pool import AsyncConnectionPool, ConnectionPool

    from keyonce.stores.postgres.engines import AsyncLender, Lender
    from keyonce.stores.postgres.steps import Step, Steps
    from keyonce.stores.statement import Row

R = TypeVar("R")

FAILURES: Final[tuple[type[Exception], ...]] = (psycopg.Error, OSError)
SLICE: Final = 1.0  # after that a pool that gave up connecting is woken again


class Pool:
    """Connections for threads."""

    failures = FAILURES

    def __init__(
        self,
        opener: Callable[[], ConnectionPool[Any]] | None = None,
        *,
        given: ConnectionPool[Any] | Lender | None = None,
    ) -> None:
        """Open by *opener*, or use what is *given*."""
        self._opener = opener
        self._given = given
        self._queries = bare_queries()
        self._prepare = None if given is None else False
        self._inherited: list[object] = []
        self._closed = False
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._opening = threading.Lock()
        self._own: ConnectionPool[Any] | None = None

    def rows(self, step: Step, deadline: float) -> list[Row]:
        """Carry out one step in a transaction of its own."""
        with self._connection(deadline) as connection:
            return self._perform(connection, step)

    def transact(self, steps: Steps[R], deadline: float) -> R:
        """Carry out *steps* in one transaction."""
        with self._connection(deadline) as connection, connection.transaction():
            return run(steps, lambda step: self._perform(connection, step))

    def is_pooled(self, deadline: float) -> bool:
        """Whether something between here and the server hands out its sessions."""
        with self._connection(deadline) as connection:
            rows = self._perform(connection, Statement("answering"))
            return bool(rows[0][0] != connection.info.backend_pid)

    def close(self) -> None:
        """Close what was opened here; what a user gave stays open."""
        self._closed = True
        if self._own is not None and self._pid == os.getpid():
            self._own.close()
            self._own = None

    def _perform(self, connection: psycopg.Connection[Any], step: Step) -> list[Row]:
        return perform(connection, self._queries, step, prepare=self._prepare)

    @contextmanager
    def _connection(self, deadline: float) -> Iterator[psycopg.Connection[Any]]:
        pool = self._pool()
        connection = pool.getconn(timeout=_slice(deadline))
        prompt = connection.autocommit
        try:
            _limit(connection, deadline)
            if not prompt:
                connection.autocommit = True
            yield connection
        except BaseException as error:
            if _is_spent(connection, error):
                connection.close()
            raise
        finally:
            try:
                if not prompt and not connection.closed:
                    connection.autocommit = False
            except BaseException as error:
                # The work is done, or its own error is on its way.
                connection.close()
                if not isinstance(error, FAILURES):
                    raise
            finally:
                pool.putconn(connection)

    def _pool(self) -> ConnectionPool[Any] | Lender:
        if self._given is not None:
            return self._given
        if self._pid != os.getpid():
            # Never touch, close or finalise what is the parent's.
            self._inherited.append(self._own)
            self._reset()
        return self._own or self._open()

    def _open(self) -> ConnectionPool[Any]:
        with self._opening:
            if self._closed or self._opener is None:
                raise closed()
            if self._own is None:
                own = self._opener()
                own.open()
                self._own = own
            return self._own


class AsyncPool:
    """Connections for event loops."""

    failures = FAILURES

    def __init__(
        self,
        opener: Callable[[], AsyncConnectionPool[Any]] | None = None,
        *,
        given: AsyncConnectionPool[Any] | AsyncLender | None = None,
    ) -> None:
        """Open by *opener*, or use what is *given*."""
        self._opener = opener
        self._given = given
        self._queries = bare_queries()
        self._prepare = None if given is None else False
        self._inherited: list[object] = []
        self._closed = False
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()
        self._own: AsyncConnectionPool[Any] | None = None

    async def rows(self, step: Step, deadline: float) -> list[Row]:
        """Carry out one step in a transaction of its own."""
        async with self._connection(deadline) as connection:
            return await self._perform(connection, step)

    async def transact(self, steps: Steps[R], deadline: float) -> R:
        """Carry out *steps* in one transaction."""
        async with self._connection(deadline) as connection, connection.transaction():
            return await arun(steps, lambda step: self._perform(connection, step))

    async def is_pooled(self, deadline: float) -> bool:
        """Whether something between here and the server hands out its sessions."""
        async with self._connection(deadline) as connection:
            rows = await self._perform(connection, Statement("answering"))
            return bool(rows[0][0] != connection.info.backend_pid)

    async def close(self) -> None:
        """Close what was opened here; what a user gave stays open."""
        self._closed = True
        own, self._own = self._own, None
        if own is not None and self._is_mine():
            await own.close()

    async def _perform(
        self, connection: psycopg.AsyncConnection[Any], step: Step
    ) -> list[Row]:
        return await aperform(connection, self._queries, step, prepare=self._prepare)

    @asynccontextmanager
    async def _connection(
        self, deadline: float
    ) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        pool = await self._pool()
        connection = await pool.getconn(timeout=_slice(deadline))
        prompt = connection.autocommit
        try:
            _limit(connection, deadline)
            if not prompt:
                await connection.set_autocommit(True)
            yield connection
        except BaseException as error:
            if _is_spent(connection, error):
                await connection.close()
            raise
        finally:
            try:
                if not prompt and not connection.closed:
                    await connection.set_autocommit(False)
            except BaseException as error:
                # The work is done, or its own error is on its way.
                await connection.close()
                if not isinstance(error, FAILURES):
                    raise
            finally:
                await pool.putconn(connection)

    def _is_mine(self) -> bool:
        return self._pid == os.getpid() and self._loop is asyncio.get_running_loop()

    async def _pool(self) -> AsyncConnectionPool[Any] | AsyncLender:
        if self._given is not None:
            return self._given
        if self._own is not None and not self._is_mine():
            # Of the parent, or of a loop that has ended: never touched again.
            self._inherited.append(self._own)
            self._reset()
        return self._own or await self._open()

    async def _open(self) -> AsyncConnectionPool[Any]:
        async with self._opening:
            if self._closed or self._opener is None:
                raise closed()
            if self._own is None:
                own = self._opener()
                await own.open()
                self._own, self._loop = own, asyncio.get_running_loop()
            return self._own


def closed() -> StoreUnavailable:
    """Say that the store was closed."""
    return StoreUnavailable("This PostgreSQL store is closed.")


def _slice(deadline: float) -> float:
    return max(0.001, min(deadline - time.monotonic(), SLICE))


def _limit(connection: Any, deadline: float) -> None:
    if hasattr(connection, "deadline"):  # one of our own
        connection.deadline = deadline


def _is_spent(connection: Any, error: BaseException) -> bool:
    """Whether *connection* will not do any more; forget what it prepared."""
    if sqlstate_of(error) in UNPREPARED:
        connection.prepare_threshold = None
    return isinstance(error, TimeoutError) or sqlstate_of(error) in STRANDED
