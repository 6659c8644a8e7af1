# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Applications with a transaction of their own, one for each kind of connection."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncmy
import pymysql
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore

SYNC = ("pymysql", "connection", "session")
ASYNC = ("asyncmy", "async connection", "async session")
KINDS = (*SYNC, *ASYNC)


class Caller:
    """An application for threads; *kind* is what it has in hand."""

    def __init__(self, server, kind: str, database: str = "used") -> None:
        """Open a connection to *database*, without autocommit."""
        self._url = f"root@127.0.0.1:{server.port}/{database}"
        self.store = MySQLStore(server.url("used"), purge_every=None, pool_size=4)
        self._engine: Any = None
        self.given: Any
        if kind == "pymysql":
            self.given = server.connect(database, autocommit=False)
            return
        self._engine = create_engine(f"mysql+pymysql://{self._url}")
        self.given = (
            self._engine.connect() if kind == "connection" else Session(self._engine)
        )

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Carry out a statement of the application's own."""
        if self._engine is None:
            with self.given.cursor() as cursor:
                cursor.execute(query)
                return list(cursor.fetchall())
        result = self.given.execute(text(query))
        return [tuple(row) for row in result] if result.returns_rows else []

    def claim(self, command, *, lock_timeout=1.0):
        return self.store.joined(self.given).claim(command, lock_timeout=lock_timeout)

    def complete(self, command):
        return self.store.joined(self.given).complete(command)

    def commit(self) -> None:
        self.given.commit()

    def roll_back(self) -> None:
        self.given.rollback()

    def close(self) -> None:
        self.given.close()
        self.store.close()
        if self._engine is not None:
            self._engine.dispose()


class AsyncCaller:
    """The same for event loops; its methods run the loop until they are done."""

    def __init__(self, server, kind: str, database: str = "used") -> None:
        """Open a connection to *database*, without autocommit."""
        self._runner = asyncio.Runner()
        self.store = AsyncMySQLStore(server.url("used"), purge_every=None, pool_size=4)
        self._engine: Any = None
        self.given: Any
        if kind == "asyncmy":
            self.given = self._run(
                asyncmy.connect(
                    host="127.0.0.1",
                    port=server.port,
                    user="root",
                    database=database,
                    autocommit=False,
                )
            )
            return
        url = f"mysql+asyncmy://root@127.0.0.1:{server.port}/{database}"
        self._engine = create_async_engine(url)
        self.given = (
            self._run(self._engine.connect().start())
            if kind == "async connection"
            else AsyncSession(self._engine)
        )

    def _run(self, awaitable) -> Any:
        async def whole() -> Any:
            return await awaitable

        return self._runner.run(whole())

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Carry out a statement of the application's own."""
        rows: list[tuple[Any, ...]] = self._run(self._ask(query))
        return rows

    async def _ask(self, query: str) -> list[tuple[Any, ...]]:
        if self._engine is None:
            async with self.given.cursor() as cursor:
                await cursor.execute(query)
                return list(await cursor.fetchall() or ())
        result = await self.given.execute(text(query))
        return [tuple(row) for row in result] if result.returns_rows else []

    def claim(self, command, *, lock_timeout=1.0):
        joined = self.store.joined(self.given)
        return self._run(joined.claim(command, lock_timeout=lock_timeout))

    def complete(self, command):
        return self._run(self.store.joined(self.given).complete(command))

    def commit(self) -> None:
        self._run(self.given.commit())

    def roll_back(self) -> None:
        self._run(self.given.rollback())

    def close(self) -> None:
        ending = self.given.ensure_closed if self._engine is None else self.given.close
        self._run(ending())
        self._run(self.store.close())
        if self._engine is not None:
            self._run(self._engine.dispose())
        self._runner.close()


def caller_of(server, kind: str, database: str = "used") -> Caller | AsyncCaller:
    """An application of that *kind*, in an open transaction from its first statement."""
    return (AsyncCaller if kind in ASYNC else Caller)(server, kind, database)


def code_in(error: BaseException) -> int:
    """The server's number of what a driver or SQLAlchemy raised."""
    code: int = getattr(error, "orig", error).args[0]
    return code


DRIVERS = (pymysql.MySQLError, asyncmy.errors.MySQLError)
