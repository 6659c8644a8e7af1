# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Sealed stores, held against the contract that every store has to keep."""

from __future__ import annotations

import pytest

from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.stores.sealed import AsyncSealed, Sealed
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract
from tests.stores.sealed.cases import ROTATED


@pytest.fixture
def clock():
    return FakeClock()


class TestSealedMemoryStore(StoreContract):
    @pytest.fixture
    def store(self, clock):
        return Sealed(MemoryStore(clock=clock), ROTATED)


class TestAsyncSealedMemoryStore(StoreContract):
    @pytest.fixture
    def store(self, clock):
        store = StorePortal(AsyncSealed(AsyncMemoryStore(clock=clock), ROTATED))
        yield store
        store.close()


class TestSealedSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path):
        store = Sealed(SQLiteStore(tmp_path / "keyonce.db", clock=clock), ROTATED)
        yield store
        store.close()


class TestAsyncSealedSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path):
        file = AsyncSQLiteStore(tmp_path / "keyonce.db", clock=clock)
        store = StorePortal(AsyncSealed(file, ROTATED))
        yield store
        store.close()


class TestSealedStoreOfAnAsyncOne(StoreContract):
    @pytest.fixture
    def store(self, clock, tmp_path):
        file = AsyncSQLiteStore(tmp_path / "keyonce.db", clock=clock)
        owner = StorePortal(AsyncSealed(file, ROTATED))
        yield owner.blocking()
        owner.close()
