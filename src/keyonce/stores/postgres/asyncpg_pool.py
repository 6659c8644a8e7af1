# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A user's pool of asyncpg, as the async store speaks through it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from keyonce.core.flow import arun
from keyonce.stores.postgres.queries import bare_queries
from keyonce.stores.postgres.steps import Script
from keyonce.stores.statement import Statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from keyonce.stores.postgres.steps import Step, Steps
    from keyonce.stores.statement import Row

R = TypeVar("R")


class AsyncpgPool:
    """Hand ``AsyncPostgresStore(AsyncpgPool(pool, url=…))`` a pool of asyncpg.

    *url* leads to the same database: heartbeats come from another thread, over a
    connection of their own, which psycopg makes. The pool stays yours. Behind a
    pooler in transaction mode make it with ``statement_cache_size=0``; its
    ``reset`` after each use costs a round trip.
    """

    failures: tuple[type[Exception], ...] = (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        OSError,
        asyncio.IncompleteReadError,
    )

    def __init__(self, pool: asyncpg.Pool[Any], *, url: str) -> None:
        """Speak through *pool*."""
        self.url = url
        self._pool = pool
        self._queries = {name: q.decode() for name, q in bare_queries().items()}

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
            return bool(rows[0][0] != connection.get_server_pid())

    async def close(self) -> None:
        """Do nothing: the pool is the user's."""

    @asynccontextmanager
    async def _connection(self, deadline: float) -> AsyncIterator[Any]:
        left = max(0.001, deadline - time.monotonic())
        async with asyncio.timeout(left), self._pool.acquire() as connection:
            yield connection

    async def _perform(self, connection: Any, step: Step) -> list[Row]:
        if isinstance(step, Script):
            await connection.execute(step.sql)
        if not isinstance(step, Statement):
            return []
        rows = await connection.fetch(self._queries[step.query], *step.values)
        return [tuple(row) for row in rows]
