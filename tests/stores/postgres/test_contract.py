# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The PostgreSQL store, held against the contract that every store has to keep."""

from __future__ import annotations

import psycopg
import pytest

from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(scope="module")
def database(every_server):
    return every_server.url(every_server.new_database())


@pytest.fixture
def url(database):
    """A database that was emptied."""
    with psycopg.connect(database, autocommit=True) as connection:
        there = connection.execute("SELECT to_regclass('keyonce_records')").fetchone()
        if there != (None,):
            connection.execute("TRUNCATE keyonce_records, keyonce_audits")
    return database


class TestPostgresStore(StoreContract):
    @pytest.fixture
    def store(self, clock, url):
        store = PostgresStore(url, clock=clock)
        yield store
        store.close()


class TestAsyncPostgresStore(StoreContract):
    @pytest.fixture
    def store(self, clock, url):
        store = StorePortal(AsyncPostgresStore(url, clock=clock))
        yield store
        store.close()


class TestPostgresStoreOfAnAsyncOne(StoreContract):
    @pytest.fixture
    def store(self, clock, url):
        owner = StorePortal(AsyncPostgresStore(url, clock=clock))
        yield owner.blocking()
        owner.close()
