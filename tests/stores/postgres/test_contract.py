# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The PostgreSQL store, held against the contract that every store has to keep.

Over every server version, isolation level, a pooler, and pools of others (test_pools):
each at least once, not each with each.
"""

from __future__ import annotations

from urllib.parse import quote

import psycopg
import pytest

from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract


def isolated(url, level):
    """Let every transaction of *url* be of that level."""
    level = level.replace(" ", r"\ ")
    return f"{url}?options={quote(f'-c default_transaction_isolation={level}')}"


@pytest.fixture
def clock():
    return FakeClock()


def emptied(url):
    with psycopg.connect(url, autocommit=True) as connection:
        there = connection.execute("SELECT to_regclass('keyonce_records')").fetchone()
        if there != (None,):
            connection.execute("DELETE FROM keyonce_records")
            connection.execute("DELETE FROM keyonce_renewals")
            connection.execute("DELETE FROM keyonce_audits")
            connection.execute("DELETE FROM keyonce_outcomes")
    return url


@pytest.fixture(scope="module")
def any_database(every_server):
    return every_server.url(every_server.new_database())


@pytest.fixture(scope="module")
def database(quick_server):
    return quick_server.new_database()


class TestPostgresStore(StoreContract):
    @pytest.fixture
    def store(self, clock, any_database):
        store = PostgresStore(emptied(any_database), clock=clock)
        yield store
        store.close()


class TestAsyncPostgresStore(StoreContract):
    @pytest.fixture
    def store(self, clock, quick_server, database):
        url = isolated(emptied(quick_server.url(database)), "repeatable read")
        store = StorePortal(AsyncPostgresStore(url, clock=clock))
        yield store
        store.close()
