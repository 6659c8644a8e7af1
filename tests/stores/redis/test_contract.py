# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The Redis store, held against the contract that every store has to keep."""

from __future__ import annotations

import pytest

from keyonce.stores.redis import AsyncRedisStore, RedisStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract


@pytest.fixture
def clock():
    return FakeClock()


class TestRedisStore(StoreContract):
    @pytest.fixture
    def store(self, clock, any_server):
        any_server.flush()
        store = RedisStore(any_server.url, clock=clock)
        yield store
        store.close()


class TestAsyncRedisStore(StoreContract):
    @pytest.fixture
    def store(self, clock, any_server):
        any_server.flush()
        store = StorePortal(AsyncRedisStore(any_server.url, clock=clock))
        yield store
        store.close()


class TestRedisStoreOfAnAsyncOne(StoreContract):
    @pytest.fixture
    def store(self, clock, server):
        owner = StorePortal(AsyncRedisStore(f"unix://{server.socket}", clock=clock))
        yield owner.blocking()
        owner.close()


class TestRedisStoreOnACluster(StoreContract):
    @pytest.fixture
    def store(self, clock, cluster):
        cluster.flush()
        store = RedisStore(cluster.url, clock=clock)
        yield store
        store.close()


class TestAsyncRedisStoreOnACluster(StoreContract):
    @pytest.fixture
    def store(self, clock, cluster):
        cluster.flush()
        store = StorePortal(AsyncRedisStore(cluster.url, clock=clock))
        yield store
        store.close()


class TestAsyncRedisStoreBehindSentinels(StoreContract):
    @pytest.fixture
    def store(self, clock, sentinels):
        sentinels.flush()
        store = StorePortal(AsyncRedisStore(sentinels.url, clock=clock))
        yield store
        store.close()
