# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The MySQL store, held against the contract that every store has to keep."""

from __future__ import annotations

import pytest

from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract


@pytest.fixture
def clock():
    return FakeClock()


class TestMySQLStore(StoreContract):
    @pytest.fixture
    def store(self, clock, used_url):
        store = MySQLStore(used_url, clock=clock)
        yield store
        store.close()


class TestAsyncMySQLStore(StoreContract):
    @pytest.fixture
    def store(self, clock, used_url):
        store = StorePortal(AsyncMySQLStore(used_url, clock=clock))
        yield store
        store.close()


class TestMySQLStoreOfAnAsyncOne(StoreContract):
    @pytest.fixture
    def store(self, clock, used_url):
        owner = StorePortal(AsyncMySQLStore(used_url, clock=clock))
        yield owner.blocking()
        owner.close()
