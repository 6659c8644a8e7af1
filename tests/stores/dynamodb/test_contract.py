# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The DynamoDB store, held against the contract that every store has to keep.

The scenarios turn one clock for all, so the margin between clocks is zero here;
tests of their own are about it.
"""

from __future__ import annotations

import pytest

from keyonce.stores.dynamodb import table_definition
from keyonce.testing.store_contract import StoreContract
from keyonce.testing.store_scenarios.identities import Identities
from keyonce.testing.store_scenarios.operators import Operators


class TestDynamoDBStore(StoreContract):
    """On the fixture `store`."""


class TestDynamoDBStoreWithoutIndex(Operators, Identities):
    """What the index is for, by reading the table instead."""

    @pytest.fixture
    def table(self, client):
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
