# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The DynamoDB store, held against the contract that every store has to keep.

The scenarios turn one clock for all, so the margin between clocks is zero here;
tests of their own are about it.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from keyonce.stores.dynamodb.aio import AsyncDynamoDBStore
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract

NO_SKEW = timedelta(0)


def a_portal(moto, table, clock):
    return StorePortal(
        AsyncDynamoDBStore(table, endpoint=moto.endpoint, skew=NO_SKEW, clock=clock)
    )


class TestDynamoDBStore(StoreContract):
    """The fixture `store` beside it."""


class TestDynamoDBStoreWithoutIndex(StoreContract):
    @pytest.fixture
    def table(self, client):
        from keyonce.stores.dynamodb import table_definition

        definition = table_definition("keyonce-bare")
        del definition["GlobalSecondaryIndexes"]
        definition["AttributeDefinitions"] = [
            each
            for each in definition["AttributeDefinitions"]
            if each["AttributeName"] in ("id", "part")
        ]
        client.create_table(**definition)
        yield "keyonce-bare"
        client.delete_table(TableName="keyonce-bare")


class TestAsyncDynamoDBStore(StoreContract):
    @pytest.fixture
    def store(self, moto, table, clock):
        store = a_portal(moto, table, clock)
        yield store
        store.close()


class TestDynamoDBStoreOfAnAsyncOne(StoreContract):
    @pytest.fixture
    def store(self, moto, table, clock):
        owner = a_portal(moto, table, clock)
        yield owner.blocking()
        owner.close()
