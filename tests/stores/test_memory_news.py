# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Guards on one memory store hear each other."""

from __future__ import annotations

import pytest

from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from tests.stores.announcing import Announcing


@pytest.fixture
def clock():
    return FakeClock()


class TestMemoryStore(Announcing):
    @pytest.fixture
    def store(self, clock):
        return MemoryStore(clock=clock)

    @pytest.fixture
    def hearer(self, store):
        return MemoryStore(store)


class TestAsyncMemoryStore(Announcing):
    @pytest.fixture
    def memory(self, clock):
        return MemoryStore(clock=clock)

    @pytest.fixture
    def store(self, memory):
        store = StorePortal(AsyncMemoryStore(memory))
        yield store
        store.close()

    @pytest.fixture
    def hearer(self, memory):
        store = StorePortal(AsyncMemoryStore(memory))
        yield store
        store.close()
