# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The same contract for event loops, and for the threads beside them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from keyonce.stores.dynamodb import create_table
from keyonce.stores.dynamodb.aio import AsyncDynamoDBStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract
from keyonce.testing.store_scenarios.claims import Claims
from keyonce.testing.store_scenarios.endings import Endings
from keyonce.testing.store_scenarios.leases import Leases

TABLE = "keyonce-async"


def emptied(client):
    for item in client.scan(TableName=TABLE)["Items"]:
        key = {"id": item["id"], "part": item["part"]}
        client.delete_item(TableName=TABLE, Key=key)


@pytest.fixture(scope="module")
def clock():
    return FakeClock()


@pytest.fixture(scope="module")
def portals(client, moto, clock):
    """One async store for all tests, and the next when a test has closed it."""
    create_table(client, TABLE)
    opened: list[StorePortal] = []

    def portal():
        if not opened or opened[-1]._loop.is_closed():
            store = AsyncDynamoDBStore(
                moto.url(TABLE),
                skew=timedelta(0),
                clock=clock,
                store_timeout=timedelta(minutes=1),
            )
            opened.append(StorePortal(store))
        return opened[-1]

    yield portal
    opened[-1].close()
    client.delete_table(TableName=TABLE)


class TestAsyncDynamoDBStore(StoreContract):
    @pytest.fixture
    def store(self, portals, client):
        emptied(client)
        return portals()


class TestDynamoDBStoreOfAnAsyncOne(Claims, Leases, Endings):
    """What a heartbeat does, and more."""

    @pytest.fixture
    def store(self, portals, client):
        emptied(client)
        return portals().blocking()
