# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Our own stores, held against the contract that every store has to keep."""

from __future__ import annotations

import pytest

from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.faults import FaultPlan, FaultyStore
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract


@pytest.fixture
def clock():
    return FakeClock()


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self, clock):
        return MemoryStore(clock=clock)


class TestAsyncMemoryStore(StoreContract):
    @pytest.fixture
    def store(self, clock):
        store = StorePortal(AsyncMemoryStore(clock=clock))
        yield store
        store.close()


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path):
        store = SQLiteStore(tmp_path / "keyonce.db", clock=clock)
        yield store
        store.close()


class TestAsyncSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path):
        store = StorePortal(AsyncSQLiteStore(tmp_path / "keyonce.db", clock=clock))
        yield store
        store.close()


class TestSQLiteStoreOfAnAsyncOne(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path):
        owner = StorePortal(AsyncSQLiteStore(tmp_path / "keyonce.db", clock=clock))
        yield owner.blocking()
        owner.close()


class TestFaultlessFaultyStore(StoreContract):
    @pytest.fixture
    def store(self, clock):
        return FaultyStore(MemoryStore(clock=clock), FaultPlan())
