# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Callers with a transaction of their own: one class for each kind of connection.

All look alike from here, so that each test is told once. Effects are rows of the
table `effects`, written over the same connection.
"""

from __future__ import annotations

from contextlib import asynccontextmanager

import asyncpg
import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore

EFFECT = "INSERT INTO effects (name) VALUES ('done')"


def make_effects(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE effects (name TEXT)")


def effects(url):
    with psycopg.connect(url, autocommit=True) as connection:
        return len(connection.execute("SELECT 1 FROM effects").fetchall())


def begin(level):
    return f"BEGIN ISOLATION LEVEL {level.upper()}"


class Threads:
    """Callers of a PostgresStore; a test may block its own loop."""

    def __init__(self, url, **options):
        self.url = url
        self.store = PostgresStore(url, **options)

    async def close(self):
        self.store.close()

    async def claim(self, command):
        return self.store.claim(command)

    async def renew(self, identity, owner):
        return self.store.renew(identity, owner)

    async def note(self, command):
        return self.store.note(command)

    async def find(self, identity):
        return self.store.find(identity)


class Loops:
    """Callers of an AsyncPostgresStore."""

    def __init__(self, url, **options):
        self.url = url
        self.store = AsyncPostgresStore(url, **options)

    async def close(self):
        await self.store.close()

    async def claim(self, command):
        return await self.store.claim(command)

    async def renew(self, identity, owner):
        return await self.store.renew(identity, owner)

    async def note(self, command):
        return await self.store.note(command)

    async def find(self, identity):
        return await self.store.find(identity)


class Transaction:
    """An open transaction: the caller's words, and the two verbs."""

    def __init__(self, run, store, connection, commit, rollback):
        self.run = run
        self.connection = connection
        joined = store.joined(connection)
        self.joined = joined
        self.commit = commit
        self.rollback = rollback

    async def complete(self, command):
        return await awaited(self.joined.complete(command))

    async def claim(self, command, lock_timeout=5.0):
        return await awaited(self.joined.claim(command, lock_timeout=lock_timeout))


async def awaited(answer):
    return await answer if hasattr(answer, "__await__") else answer


class Psycopg(Threads):
    @asynccontextmanager
    async def transaction(self, level="read committed"):
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(begin(level))

            async def run(sql):
                cursor = connection.execute(sql)
                return cursor.fetchall()[0][0] if cursor.description else None

            async def end(sql):
                connection.execute(sql)

            yield Transaction(
                run,
                self.store,
                connection,
                lambda: end("COMMIT"),
                lambda: end("ROLLBACK"),
            )


class AsyncPsycopg(Loops):
    @asynccontextmanager
    async def transaction(self, level="read committed"):
        connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
        async with connection:
            await connection.execute(begin(level))

            async def run(sql):
                cursor = await connection.execute(sql)
                return (await cursor.fetchall())[0][0] if cursor.description else None

            async def end(sql):
                await connection.execute(sql)

            yield Transaction(
                run,
                self.store,
                connection,
                lambda: end("COMMIT"),
                lambda: end("ROLLBACK"),
            )


class Asyncpg(Loops):
    @asynccontextmanager
    async def transaction(self, level="read committed"):
        connection = await asyncpg.connect(self.url)
        try:
            under = connection.transaction(isolation=level.replace(" ", "_"))
            await under.start()
            yield Transaction(
                connection.fetchval,
                self.store,
                connection,
                under.commit,
                under.rollback,
            )
        finally:
            await connection.close()


class AsyncpgLent(Loops):
    @asynccontextmanager
    async def transaction(self, level="read committed"):
        async with (
            asyncpg.create_pool(self.url, min_size=1, max_size=1) as pool,
            pool.acquire() as connection,
        ):
            under = connection.transaction(isolation=level.replace(" ", "_"))
            await under.start()
            yield Transaction(
                connection.fetchval,
                self.store,
                connection,
                under.commit,
                under.rollback,
            )


def alchemy(url, driver):
    return url.replace("postgresql://", f"postgresql+{driver}://")


def told(answer):
    return answer.scalar() if answer.returns_rows else None


class Core(Threads):
    @asynccontextmanager
    async def transaction(self, level="read committed"):
        url = alchemy(self.url, "psycopg")
        engine = create_engine(url, isolation_level=level.upper())
        with engine.connect() as connection:

            async def run(sql):
                return told(connection.execute(text(sql)))

            async def commit():
                connection.commit()

            async def rollback():
                connection.rollback()

            yield Transaction(run, self.store, connection, commit, rollback)
        engine.dispose()


class Orm(Threads):
    @asynccontextmanager
    async def transaction(self, level="read committed"):
        url = alchemy(self.url, "psycopg")
        engine = create_engine(url, isolation_level=level.upper())
        with Session(engine) as session:

            async def run(sql):
                return told(session.execute(text(sql)))

            async def commit():
                session.commit()

            async def rollback():
                session.rollback()

            yield Transaction(run, self.store, session, commit, rollback)
        engine.dispose()


class AsyncCore(Loops):
    driver = "asyncpg"

    @asynccontextmanager
    async def transaction(self, level="read committed"):
        url = alchemy(self.url, self.driver)
        engine = create_async_engine(url, isolation_level=level.upper())
        async with engine.connect() as connection:

            async def run(sql):
                return told(await connection.execute(text(sql)))

            yield Transaction(
                run, self.store, connection, connection.commit, connection.rollback
            )
        await engine.dispose()


class AsyncOrm(Loops):
    driver = "asyncpg"

    @asynccontextmanager
    async def transaction(self, level="read committed"):
        url = alchemy(self.url, self.driver)
        engine = create_async_engine(url, isolation_level=level.upper())
        async with AsyncSession(engine) as session:

            async def run(sql):
                return told(await session.execute(text(sql)))

            yield Transaction(
                run, self.store, session, session.commit, session.rollback
            )
        await engine.dispose()


class AsyncCoreOnPsycopg(AsyncCore):
    driver = "psycopg"


class AsyncOrmOnPsycopg(AsyncOrm):
    driver = "psycopg"


KINDS = [
    Psycopg,
    AsyncPsycopg,
    Asyncpg,
    AsyncpgLent,
    Core,
    Orm,
    AsyncCore,
    AsyncOrm,
    AsyncCoreOnPsycopg,
    AsyncOrmOnPsycopg,
]
