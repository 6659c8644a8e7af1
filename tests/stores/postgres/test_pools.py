# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The contract through pgbouncer, and on pools that a user has."""

from __future__ import annotations

import asyncpg
import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.stores.postgres.asyncpg_pool import AsyncpgPool
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract
from keyonce.testing.store_scenarios.cases import FIRST, claim_of
from tests.stores.postgres.test_contract import emptied, isolated


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(scope="module")
def database(quick_server):
    return quick_server.new_database()


@pytest.fixture(scope="module")
def pool(quick_server, database):
    url = isolated(quick_server.url(database), "serializable")
    keywords = {"row_factory": dict_row}
    with ConnectionPool(url, kwargs=keywords, min_size=1, max_size=8) as pool:
        yield pool


class TestAsyncPostgresStoreBehindAPooler(StoreContract):
    @pytest.fixture
    def store(self, clock, quick_server, pooler, database):
        emptied(quick_server.url(database))
        store = StorePortal(AsyncPostgresStore(pooler.url(database), clock=clock))
        yield store
        store.close()


class TestPostgresStoreOnAUsersPool(StoreContract):
    @pytest.fixture
    def store(self, clock, pool):
        emptied(pool.conninfo)
        store = PostgresStore(pool, clock=clock)
        yield store
        store.close()


class PoolAndAll(AsyncPostgresStore):
    """Closes the pool that it was given, too: it lives in this store's loop."""

    def __init__(self, pool, url, clock):
        super().__init__(AsyncpgPool(pool, url=url), clock=clock)
        self.pool = pool

    async def close(self):
        await super().close()
        await self.pool.close()


class TestAsyncPostgresStoreOnAPoolOfAsyncpg(StoreContract):
    @pytest.fixture
    def store(self, clock, quick_server, database):
        url = emptied(quick_server.url(database))
        portal = StorePortal(AsyncPostgresStore(url))

        async def opened():
            await portal._store.close()
            pool = await asyncpg.create_pool(url, min_size=1, max_size=8)
            return PoolAndAll(pool, url, clock)

        portal._store = portal._wait_for(opened())
        yield portal
        portal.close()


class Stubborn(psycopg.Connection):
    """A connection that may be set to autocommit, but not back."""

    def set_autocommit(self, value):
        if not value:
            raise psycopg.OperationalError("not back")
        super().set_autocommit(value)

    @property
    def autocommit(self):
        return super().autocommit

    @autocommit.setter
    def autocommit(self, value):
        self.set_autocommit(value)


class AsyncStubborn(psycopg.AsyncConnection):
    """The same for event loops."""

    async def set_autocommit(self, value):
        if not value:
            raise psycopg.OperationalError("not back")
        await super().set_autocommit(value)


def test_a_users_connection_that_cannot_be_set_back_is_replaced(quick_server):
    url = quick_server.url(quick_server.new_database())
    with ConnectionPool(url, connection_class=Stubborn, min_size=1, max_size=1) as pool:
        store = PostgresStore(pool)

        for _ in range(3):
            assert FIRST == store.claim(claim_of()).record.owner

        store.close()


async def test_so_it_is_beside_a_loop(quick_server):
    url = quick_server.url(quick_server.new_database())
    pool = AsyncConnectionPool(
        url, connection_class=AsyncStubborn, min_size=1, max_size=1, open=False
    )
    async with pool:
        store = AsyncPostgresStore(pool)

        for _ in range(3):
            assert FIRST == (await store.claim(claim_of())).record.owner

        await store.close()
