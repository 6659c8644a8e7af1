# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The tiered store, held against the contract that every store has to keep."""

from __future__ import annotations

import psycopg
import pytest

from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.stores.sealed import AsyncSealed, KeyRing, Sealed
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.stores.tiered import (
    AsyncRedisCache,
    AsyncTiered,
    MemoryCache,
    RedisCache,
    Tiered,
)
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract
from tests.stores.tiered.samples import SEALED, patient

RING = KeyRing({"2026": b"k" * 32}, "2026")


class TestMemoryOverSQLite(StoreContract):
    @pytest.fixture
    def store(self, clock, durable):
        return Tiered(MemoryCache(), durable, clock=clock)


class TestMemoryOverAsyncSQLite(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path):
        durable = AsyncSQLiteStore(tmp_path / "keyonce.db", clock=clock)
        store = StorePortal(AsyncTiered(MemoryCache(), durable, clock=clock))
        yield store
        store.close()


class TestWhatThreadsAreGivenOfAnAsyncOne(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path):
        durable = AsyncSQLiteStore(tmp_path / "keyonce.db", clock=clock)
        owner = StorePortal(AsyncTiered(MemoryCache(), durable, clock=clock))
        yield owner.blocking()
        owner.close()


class TestRedisOverSQLite(StoreContract):
    @pytest.fixture
    def store(self, clock, durable, any_cache_server):
        any_cache_server.flush()
        cache = RedisCache(any_cache_server.url, timeout=patient)
        store = Tiered(cache, durable, clock=clock, **SEALED)
        yield store
        assert 0 == store.counts["failed"] + store.counts["refused"]
        store.close()


class TestRedisOverAsyncSQLite(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path, any_cache_server):
        any_cache_server.flush()
        cache = AsyncRedisCache(any_cache_server.url, timeout=patient)
        durable = AsyncSQLiteStore(tmp_path / "keyonce.db", clock=clock)
        tiered = AsyncTiered(cache, durable, clock=clock, **SEALED)
        store = StorePortal(tiered)
        yield store
        assert 0 == tiered.counts["failed"] + tiered.counts["refused"]
        store.close()


class TestSealedOverMemoryOverSQLite(StoreContract):
    @pytest.fixture
    def store(self, clock, durable):
        return Sealed(Tiered(MemoryCache(), durable, clock=clock), RING)


class TestSealedOverMemoryOverAsyncSQLite(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path):
        durable = AsyncSQLiteStore(tmp_path / "keyonce.db", clock=clock)
        tiered = AsyncTiered(MemoryCache(), durable, clock=clock)
        store = StorePortal(AsyncSealed(tiered, RING))
        yield store
        store.close()


class TestSealedOverRedisOverSQLite(StoreContract):
    @pytest.fixture
    def store(self, clock, durable, server):
        cache = RedisCache(server.url, timeout=patient)
        tiered = Tiered(cache, durable, clock=clock, **SEALED)
        store = Sealed(tiered, RING)
        yield store
        assert 0 == tiered.counts["failed"] + tiered.counts["refused"]
        store.close()


class TestSealedOverRedisOverAsyncSQLite(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path, server):
        cache = AsyncRedisCache(server.url, timeout=patient)
        durable = AsyncSQLiteStore(tmp_path / "keyonce.db", clock=clock)
        tiered = AsyncTiered(cache, durable, clock=clock, **SEALED)
        store = StorePortal(AsyncSealed(tiered, RING))
        yield store
        store.close()


@pytest.fixture(scope="module")
def database(postgres):
    return postgres.url(postgres.new_database())


@pytest.fixture
def emptied(database):
    with psycopg.connect(database, autocommit=True) as connection:
        there = connection.execute("SELECT to_regclass('keyonce_records')").fetchone()
        if there != (None,):
            connection.execute("DELETE FROM keyonce_records")
            connection.execute("DELETE FROM keyonce_renewals")
            connection.execute("DELETE FROM keyonce_audits")
    return database


class TestRedisOverPostgres(StoreContract):
    @pytest.fixture
    def store(self, clock, emptied, server):
        cache = RedisCache(server.url, timeout=patient)
        durable = PostgresStore(emptied, clock=clock)
        store = Tiered(cache, durable, clock=clock, **SEALED)
        yield store
        store.close()


class TestRedisOverAsyncPostgres(StoreContract):
    @pytest.fixture
    def store(self, clock, emptied, server):
        cache = AsyncRedisCache(server.url, timeout=patient)
        durable = AsyncPostgresStore(emptied, clock=clock)
        store = StorePortal(AsyncTiered(cache, durable, clock=clock, **SEALED))
        yield store
        store.close()


def test_the_contract_meets_the_cache(clock, tmp_path):
    """Without hits the classes above would show nothing."""
    from keyonce.testing.store_scenarios.cases import claim_of, completion_of

    durable = SQLiteStore(tmp_path / "keyonce.db", clock=clock)
    store = Tiered(MemoryCache(), durable, clock=clock)
    store.claim(claim_of())
    store.complete(completion_of())

    store.claim(claim_of(owner=b"another---------"))

    assert 1 == store.counts["hit"]
    store.close()
