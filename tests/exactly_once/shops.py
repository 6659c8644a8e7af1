# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A shop whose orders are rows beside the records, over each driver in turn.

An order is two rows, placed in one of three forms. At each point on the way *at* is
called, which may raise, end the process, or give what is to be done there as well.
"""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from keyonce.core.guarantee import Guarantee
from keyonce.core.policy import Policy
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.aio_work import current_async_work
from keyonce.engine.sync import Guard
from keyonce.engine.work import current_work
from keyonce.stores.url import open_async_store, open_store

EXACT = Policy(guarantee=Guarantee.EXACTLY_ONCE, lease=timedelta(seconds=1))
FORMS = ("connection given", "own block", "own transaction")
POINTS = ("called", "begun", "effect", "effects", "completed", "committed")
TABLE = "CREATE TABLE orders (name VARCHAR(100))"

#: What is called at a point. It gives SQL to run there, and functions to call with
#: the connection; of an AsyncShop, their answers are awaited where they can be.
Hook = Callable[[str], Iterable[Any] | None]


def effect(key: str) -> str:
    return f"INSERT INTO orders (name) VALUES ('{key}')"


def second(key: str) -> str:
    """Name the second row of an order."""
    return f"{key}, paid"


def nothing(_point: str) -> None:
    """Let it pass."""


class Shop:
    """For threads: a subclass says how to connect, and how to speak."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = open_store(url)
        self.guard = Guard(self.store)
        self.runs = 0

    def connect(self) -> Any:
        raise NotImplementedError

    def run(self, connection: Any, sql: str) -> None:
        connection.execute(sql)

    def begin(self, connection: Any) -> None:
        self.run(connection, "BEGIN")

    def commit(self, connection: Any) -> None:
        connection.commit()

    def rollback(self, connection: Any) -> None:
        connection.rollback()

    def order(self, key: str, form: str = FORMS[0], at: Hook = nothing) -> Any:
        """Place the order *key*, once."""
        given = {"connection": lambda: self._fresh(at)} if form == FORMS[0] else {}
        place = {
            FORMS[0]: self._given,
            FORMS[1]: self._block,
            FORMS[2]: self._own,
        }[form]
        once: Any = self.guard.once
        guarded = once(
            "order", key=lambda key, _: key, fingerprint=lambda key, _: key,
            policy=EXACT, **given,
        )  # fmt: skip
        return guarded(place)(key, at)

    @contextmanager
    def _fresh(self, at: Hook) -> Iterator[Any]:
        at("called")
        try:
            with self.connect() as connection:
                yield connection
                at("committed")
        finally:
            at("left")

    def _given(self, connection: Any, key: str, at: Hook) -> Any:
        self.runs += 1
        self._there(connection, at, "begun")
        self.run(connection, effect(key))
        self._there(connection, at, "effect")
        self.run(connection, effect(second(key)))
        self._there(connection, at, "effects")
        current_work().complete({"order": key})
        self._there(connection, at, "completed")

    def _there(self, connection: Any, at: Hook, point: str) -> None:
        for todo in at(point) or ():
            if isinstance(todo, str):
                self.run(connection, todo)
            else:
                todo(connection)

    def _block(self, key: str, at: Hook) -> Any:
        with self._fresh(at) as connection:
            with current_work().transaction(connection):
                self._given(connection, key, at)

    def _own(self, key: str, at: Hook) -> Any:
        with self._fresh(at) as connection:
            self.begin(connection)
            with current_work().transaction(connection):
                self._given(connection, key, at)
            self.commit(connection)

    def close(self) -> None:
        self.guard.close()
        self.store.close()


class AsyncShop:
    """For event loops; its methods run the loop until they are done."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.runner = asyncio.Runner()
        self.store = self.runner.run(self._open())
        self.guard = AsyncGuard(self.store)
        self.runs = 0

    async def _open(self) -> Any:
        return open_async_store(self.url)

    def connect(self) -> Any:
        raise NotImplementedError

    async def run(self, connection: Any, sql: str) -> None:
        await connection.execute(sql)

    async def begin(self, connection: Any) -> None:
        await self.run(connection, "BEGIN")

    async def commit(self, connection: Any) -> None:
        await connection.commit()

    async def rollback(self, connection: Any) -> None:
        await connection.rollback()

    def order(self, key: str, form: str = FORMS[0], at: Hook = nothing) -> Any:
        """Place the order *key*, once."""
        return self.runner.run(self.placed(key, form, at))

    async def placed(self, key: str, form: str = FORMS[0], at: Hook = nothing) -> Any:
        """Place it on the loop that runs."""
        given = {"connection": lambda: self._fresh(at)} if form == FORMS[0] else {}
        place = {
            FORMS[0]: self._given,
            FORMS[1]: self._block,
            FORMS[2]: self._own,
        }[form]
        once: Any = self.guard.once
        guarded = once(
            "order", key=lambda key, _: key, fingerprint=lambda key, _: key,
            policy=EXACT, **given,
        )  # fmt: skip
        return await guarded(place)(key, at)

    @asynccontextmanager
    async def _fresh(self, at: Hook) -> AsyncIterator[Any]:
        at("called")
        try:
            async with self.connect() as connection:
                yield connection
                at("committed")
        finally:
            at("left")

    async def _given(self, connection: Any, key: str, at: Hook) -> Any:
        self.runs += 1
        await self._there(connection, at, "begun")
        await self.run(connection, effect(key))
        await self._there(connection, at, "effect")
        await self.run(connection, effect(second(key)))
        await self._there(connection, at, "effects")
        await current_async_work().complete({"order": key})
        await self._there(connection, at, "completed")

    async def _there(self, connection: Any, at: Hook, point: str) -> None:
        for todo in at(point) or ():
            if isinstance(todo, str):
                await self.run(connection, todo)
                continue
            doing = todo(connection)
            if inspect.isawaitable(doing):
                await doing

    async def _block(self, key: str, at: Hook) -> Any:
        async with self._fresh(at) as connection:
            async with current_async_work().transaction(connection):
                await self._given(connection, key, at)

    async def _own(self, key: str, at: Hook) -> Any:
        async with self._fresh(at) as connection:
            await self.begin(connection)
            async with current_async_work().transaction(connection):
                await self._given(connection, key, at)
            await self.commit(connection)

    def close(self) -> None:
        self.runner.run(self.guard.close())
        self.runner.run(self.store.close())
        self.runner.close()


class Sqlite3(Shop):
    patience = 5.0

    def connect(self) -> Any:
        file = self.url.removeprefix("sqlite:///")
        return closing(sqlite3.connect(file, timeout=self.patience))

    def begin(self, connection: Any) -> None:
        connection.execute("BEGIN IMMEDIATE")


class AsyncSqlite3(AsyncShop):
    patience = 5.0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        file = self.url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(file, timeout=self.patience)) as mine:
            yield mine

    async def run(self, connection: Any, sql: str) -> None:
        connection.execute(sql)

    async def begin(self, connection: Any) -> None:
        connection.execute("BEGIN IMMEDIATE")

    async def commit(self, connection: Any) -> None:
        connection.commit()

    async def rollback(self, connection: Any) -> None:
        connection.rollback()


class SessionOnSqlite(Shop):
    scheme = "sqlite:"
    patience: float | None = None

    @cached_property
    def engine(self) -> Any:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        url = self.scheme + self.url.partition(":")[2]
        given = {} if self.patience is None else {"timeout": self.patience}
        return create_engine(url, poolclass=NullPool, connect_args=given)

    def connect(self) -> Any:
        from sqlalchemy.orm import Session

        return Session(self.engine)

    def run(self, connection: Any, sql: str) -> None:
        from sqlalchemy import text

        connection.execute(text(sql))

    def begin(self, connection: Any) -> None:
        connection.begin()


class SessionOnPostgres(SessionOnSqlite):
    scheme = "postgresql+psycopg:"


class AsyncSessionOnPostgres(AsyncShop):
    scheme = "postgresql+asyncpg:"

    @cached_property
    def engine(self) -> Any:
        from sqlalchemy.ext.asyncio import create_async_engine
        from sqlalchemy.pool import NullPool

        url = self.scheme + self.url.partition(":")[2]
        return create_async_engine(url, poolclass=NullPool)

    def connect(self) -> Any:
        from sqlalchemy.ext.asyncio import AsyncSession

        return AsyncSession(self.engine)

    async def run(self, connection: Any, sql: str) -> None:
        from sqlalchemy import text

        await connection.execute(text(sql))

    async def begin(self, connection: Any) -> None:
        await connection.begin()


class AsyncSessionOnPsycopg(AsyncSessionOnPostgres):
    scheme = "postgresql+psycopg:"


class SessionOnMariaDB(SessionOnSqlite):
    scheme = "mysql+pymysql:"


class AsyncSessionOnMariaDB(AsyncSessionOnPostgres):
    scheme = "mysql+asyncmy:"


class DjangoOnSqlite(Shop):
    @contextmanager
    def connect(self) -> Iterator[Any]:
        from tests.exactly_once.django_project import connection_to, left

        connection = connection_to(self.url)
        try:
            yield connection
        finally:
            left(connection)

    def run(self, connection: Any, sql: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)

    def begin(self, connection: Any) -> None:
        from django.db.transaction import atomic

        atomic(using=connection.alias).__enter__()

    def commit(self, connection: Any) -> None:
        connection.atomic_blocks[-1].__exit__(None, None, None)

    def rollback(self, connection: Any) -> None:
        connection.set_rollback(True)
        self.commit(connection)


class DjangoOnPostgres(DjangoOnSqlite):
    """The same, by psycopg."""


class DjangoOnMariaDB(DjangoOnSqlite):
    """The same, by PyMySQL in the place of mysqlclient."""


class Psycopg(Shop):
    def connect(self) -> Any:
        import psycopg

        return closing(psycopg.connect(self.url))


class AsyncPsycopg(AsyncShop):
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        import psycopg

        connection = await psycopg.AsyncConnection.connect(self.url)
        try:
            yield connection
        finally:
            await connection.close()

    async def begin(self, connection: Any) -> None:
        await connection.execute("SELECT 1")  # begins by itself


class Asyncpg(AsyncShop):
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        import asyncpg

        connection = await asyncpg.connect(self.url)
        try:
            yield connection
        finally:
            await connection.close()

    async def commit(self, connection: Any) -> None:
        await connection.execute("COMMIT")

    async def rollback(self, connection: Any) -> None:
        await connection.execute("ROLLBACK")


class PyMySQL(Shop):
    def connect(self) -> Any:
        import pymysql

        at = urlsplit(self.url)
        return pymysql.connect(
            host=at.hostname or "", port=at.port or 0, user="root",
            database=at.path.strip("/"),
        )  # fmt: skip

    def run(self, connection: Any, sql: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)


class Asyncmy(AsyncShop):
    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        import asyncmy

        at = urlsplit(self.url)
        connection = await asyncmy.connect(
            host=at.hostname or "", port=at.port or 0, user="root",
            database=at.path.strip("/"),
        )  # fmt: skip
        try:
            yield connection
        finally:
            await connection.ensure_closed()

    async def run(self, connection: Any, sql: str) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(sql)


ON_SQLITE = (Sqlite3, AsyncSqlite3, SessionOnSqlite, DjangoOnSqlite)
ON_POSTGRES = (
    Psycopg,
    AsyncPsycopg,
    Asyncpg,
    SessionOnPostgres,
    AsyncSessionOnPostgres,
    AsyncSessionOnPsycopg,
    DjangoOnPostgres,
)
ON_MARIADB = (
    PyMySQL,
    Asyncmy,
    SessionOnMariaDB,
    AsyncSessionOnMariaDB,
    DjangoOnMariaDB,
)
KINDS = {kind.__name__: kind for kind in (*ON_SQLITE, *ON_POSTGRES, *ON_MARIADB)}


def ask(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Look into the database from outside, with its first driver."""
    for kinds in (ON_SQLITE, ON_POSTGRES, ON_MARIADB):
        if url.startswith({Sqlite3: "sqlite", Psycopg: "post", PyMySQL: "m"}[kinds[0]]):
            shop = object.__new__(kinds[0])
            shop.url = url
            with shop.connect() as connection:
                cursor = connection.cursor()
                cursor.execute(sql)
                rows = [tuple(row) for row in cursor.fetchall() or ()] if (
                    cursor.description
                ) else []  # fmt: skip
                connection.commit()
            return rows
    raise AssertionError(url)


def rows(url: str, key: str) -> int:
    """How many rows are named *key*."""
    return int(ask(url, f"SELECT count(*) FROM orders WHERE name = '{key}'")[0][0])


def orders(url: str, key: str) -> int:
    """How many orders of that *key* there are; each of their effects has to be there."""
    found = dict(ask(url, "SELECT name, count(*) FROM orders GROUP BY name"))
    assert found.get(key) == found.get(second(key)), found
    return int(found.get(key, 0))
