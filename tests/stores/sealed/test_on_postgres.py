# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Sealed outcomes in a real database server: the contract, and rows that swap."""

from __future__ import annotations

import psycopg
import pytest

from keyonce.core.errors import RecordUnreadable
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.stores.sealed import AsyncSealed, Sealed
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
)
from tests.servers.postgres import PostgresServer, newest
from tests.stores.sealed.cases import ROTATED

pytestmark = pytest.mark.servers

BOB = ORDER._replace(scope="bob")
SWAP = """
    UPDATE keyonce_records AS mine SET result = theirs.result
    FROM keyonce_records AS theirs WHERE mine.scope <> theirs.scope
"""


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(scope="module")
def server():
    server = PostgresServer(newest(), fsync="off", synchronous_commit="off").start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def database(server):
    return server.url(server.new_database())


@pytest.fixture
def url(database):
    with psycopg.connect(database, autocommit=True) as connection:
        there = connection.execute("SELECT to_regclass('keyonce_records')").fetchone()
        if there != (None,):
            connection.execute("DELETE FROM keyonce_records")
            connection.execute("DELETE FROM keyonce_renewals")
            connection.execute("DELETE FROM keyonce_audits")
    return database


class TestSealedPostgresStore(StoreContract):
    @pytest.fixture
    def store(self, clock, url):
        store = Sealed(PostgresStore(url, clock=clock), ROTATED)
        yield store
        store.close()


class TestAsyncSealedPostgresStore(StoreContract):
    @pytest.fixture
    def store(self, clock, url):
        store = StorePortal(AsyncSealed(AsyncPostgresStore(url, clock=clock), ROTATED))
        yield store
        store.close()


def test_rows_swapped_between_tenants_open_for_neither(url, clock):
    store = Sealed(PostgresStore(url, clock=clock), ROTATED)
    mine = ANSWER
    for identity in (ORDER, BOB):
        completed(store, identity)

    with psycopg.connect(url, autocommit=True) as connection:
        assert 2 == connection.execute(SWAP).rowcount

    for identity in (ORDER, BOB):
        for call in (
            lambda identity=identity: store.find(identity),
            lambda identity=identity: store.claim(claim_of(identity, SECOND)),
            lambda identity=identity: store.complete(completion_of(identity)),
        ):
            with pytest.raises(RecordUnreadable, match="cannot be opened"):
                call()
    fresh = ORDER._replace(key="another")
    assert mine == completed(store, fresh).result
    store.close()
