# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The contract on a user's engine of SQLAlchemy, which gets back what it lent."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import create_async_engine

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    record_in,
)
from tests.stores.postgres.callers import alchemy
from tests.stores.postgres.test_contract import emptied

SOON = timedelta(seconds=0.5)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(scope="module")
def database(quick_server):
    return quick_server.url(quick_server.new_database())


class TestPostgresStoreOnAnEngine(StoreContract):
    @pytest.fixture
    def store(self, clock, database):
        url = alchemy(emptied(database), "psycopg")
        engine = create_engine(url, pool_size=8, isolation_level="SERIALIZABLE")
        store = PostgresStore(engine, clock=clock)
        yield store
        store.close()
        engine.dispose()


class EngineAndAll(AsyncPostgresStore):
    """Disposes of the engine that it was given, too: it lives in this store's loop."""

    def __init__(self, url, clock):
        self.engine = create_async_engine(url, pool_size=8)
        super().__init__(self.engine, clock=clock)

    async def close(self):
        await super().close()
        await self.engine.dispose()


class TestAsyncPostgresStoreOnAnEngineOfPsycopg(StoreContract):
    @pytest.fixture
    def store(self, clock, database):
        url = alchemy(emptied(database), "psycopg")
        store = StorePortal(EngineAndAll(url, clock))
        yield store
        store.close()


class TestAsyncPostgresStoreOnAnEngineOfAsyncpg(StoreContract):
    @pytest.fixture
    def store(self, clock, database):
        url = alchemy(emptied(database), "asyncpg")
        store = StorePortal(EngineAndAll(url, clock))
        yield store
        store.close()


@pytest.fixture
def database_of_its_own(server):
    return server.url(server.new_database())


def test_connections_go_back_as_they_were(database_of_its_own):
    engine = create_engine(
        alchemy(database_of_its_own, "psycopg"), pool_size=1, max_overflow=0
    )

    @event.listens_for(engine, "connect")
    def greet(connection, _record):
        connection.execute("SELECT 1")  # and leaves a transaction open

    store = PostgresStore(engine, purge_every=None)
    completed(store)
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        assert not raw.autocommit
        done = store_in(connection, store)
        connection.rollback()

    assert SECOND == done.record.owner
    assert FIRST == record_in(store).owner
    assert "Connections in pool: 1" in engine.pool.status()
    store.close()
    engine.dispose()


def store_in(connection, store):
    """Join the only connection there is: its place was found before."""
    return store.joined(connection).claim(
        claim_of(ORDER._replace(key="2"), SECOND), lock_timeout=1
    )


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_connections_of_a_loop_go_back_as_they_were(database_of_its_own, driver):
    engine = create_async_engine(
        alchemy(database_of_its_own, driver), pool_size=1, max_overflow=0
    )
    store = AsyncPostgresStore(engine, purge_every=None)
    await asyncio.gather(
        *(store.claim(claim_of(ORDER._replace(key=str(n)))) for n in range(5))
    )
    renewed = await asyncio.to_thread(
        store.blocking().renew, ORDER._replace(key="1"), FIRST
    )

    async with engine.begin() as connection:
        answer = await connection.execute(text("SELECT count(*) FROM keyonce_records"))
        assert 5 == answer.scalar()
    assert renewed is not None
    assert "Connections in pool: 1" in engine.pool.status()
    await store.close()
    await engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_sessions_that_the_server_ends_are_replaced(
    server, database_of_its_own, driver
):
    engine = create_async_engine(alchemy(database_of_its_own, driver))
    store = AsyncPostgresStore(engine, purge_every=None)
    await store.claim(claim_of())
    name = database_of_its_own.rpartition("/")[2]
    server.run_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{name}'"
    )

    done = await store.complete(completion_of())
    found = await store.find(ORDER)

    assert found is not None
    assert done == found.record
    await store.close()
    await engine.dispose()


def test_an_engine_whose_pool_is_used_up_is_unavailable(database_of_its_own):
    engine = create_engine(
        alchemy(database_of_its_own, "psycopg"),
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.1,
    )
    store = PostgresStore(engine, store_timeout=SOON, purge_every=None)
    began = time.monotonic()

    with engine.connect(), pytest.raises(StoreUnavailable):
        store.claim(claim_of())

    assert time.monotonic() - began < 3
    assert FIRST == store.claim(claim_of()).record.owner
    store.close()
    engine.dispose()


def test_a_server_that_went_away_is_unavailable(server, database_of_its_own):
    engine = create_engine(alchemy(database_of_its_own, "psycopg"))
    store = PostgresStore(engine, store_timeout=SOON, purge_every=None)
    store.claim(claim_of())
    server.stop()
    try:
        with pytest.raises(StoreUnavailable):
            store.claim(claim_of(owner=SECOND))
    finally:
        server.start()

    assert FIRST == store.claim(claim_of(owner=SECOND)).record.owner
    store.close()
    engine.dispose()


def test_an_engine_of_another_driver_is_refused_with_the_mend(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/x.db")

    with pytest.raises(ConfigurationError, match=r"sqlite\+pysqlite.*psycopg"):
        PostgresStore(engine)
    engine.dispose()


async def test_an_engine_for_the_other_side_is_refused(database_of_its_own):
    engine: Any = create_async_engine(alchemy(database_of_its_own, "asyncpg"))

    with pytest.raises(ConfigurationError, match="create_engine"):
        PostgresStore(engine)
    await engine.dispose()


def test_what_only_one_driver_understands_is_put_in_libpqs_words():
    from keyonce.stores.postgres.engines import url_of_engine

    engine = create_async_engine(
        "postgresql+asyncpg://me:a%20word@/db"
        "?ssl=require&host=one:1&host=two:2&prepared_statement_cache_size=0"
    )

    url = url_of_engine(engine)

    assert psycopg.conninfo.conninfo_to_dict(url) == {
        "user": "me",
        "password": "a word",
        "host": "one,two",
        "port": "1,2",
        "dbname": "db",
        "sslmode": "require",
    }
