# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How a table is named, and which clients are taken."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import boto3
import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.core.model import Query
from keyonce.stores.dynamodb import DynamoDBStore, create_table, table_definition
from keyonce.stores.dynamodb.address import SKEW, Address, address_of
from keyonce.stores.dynamodb.aio import AsyncDynamoDBStore
from keyonce.stores.dynamodb.migrating import DynamoDBSchema
from keyonce.stores.url import open_async_store, open_store
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    claim_of,
    completion_of,
    record_in,
)
from tests.servers.moto import ENVIRONMENT, REGION


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("keyonce", Address("keyonce")),
        ("dynamodb://Key_Once.2", Address("Key_Once.2")),
        ("dynamodb://keyonce?region=eu-west-1", Address("keyonce", "eu-west-1")),
        (
            "dynamodb://keyonce?endpoint=http://localhost:8000&skew=500ms",
            Address(
                "keyonce",
                None,
                "http://localhost:8000",
                timedelta(milliseconds=500),
            ),
        ),
        ("dynamodb://keyonce/?skew=1.5s", Address("keyonce", skew=SKEW * 0.75)),
        ("dynamodb://keyonce?skew=0s", Address("keyonce", skew=timedelta(0))),
        ("dynamodb://keyonce?skew=1m", Address("keyonce", skew=timedelta(minutes=1))),
    ],
)
def test_a_url_names_a_table_and_its_place(url, address):
    assert address == address_of(url)


def test_what_is_given_beside_a_url_wins():
    address = address_of(
        "dynamodb://keyonce?region=a&skew=1s", region="b", skew=timedelta(0)
    )

    assert Address("keyonce", "b", None, timedelta(0)) == address


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("dynamodb://", "no name of a DynamoDB table"),
        ("dynamodb:keyonce", "dynamodb://keyonce"),
        ("dynamodb://ab", "3 to 255"),
        ("no spaces", "3 to 255"),
        ("dynamodb://keyonce/orders", "nothing below it"),
        ("dynamodb://keyonce?zone=1", "no option 'zone'"),
        ("dynamodb://keyonce?skew=2", "skew=2s"),
        ("dynamodb://keyonce?skew=-2s", "skew=2s"),
        ("dynamodb://keyonce?skew=2h", "skew=2s"),
        ("dynamodb://keyonce?skew=6m", "between 0 and 5 minutes"),
        ("dynamodb://keyonce?endpoint=localhost:8000", "http or https"),
        ("dynamodb://me:secret@keyonce", "environment, a profile or a role"),
    ],
)
def test_a_url_that_cannot_be_says_what_to_write(url, mend):
    for kind in (DynamoDBStore, AsyncDynamoDBStore):
        with pytest.raises(ConfigurationError, match=mend) as refusal:
            kind(url)
        assert "secret" not in str(refusal.value)


def test_without_a_region_the_url_to_write_is_told(monkeypatch, tmp_path):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    with pytest.raises(ConfigurationError, match="region=eu-central-1"):
        DynamoDBStore("keyonce")
    with pytest.raises(ConfigurationError, match="region=eu-central-1"):
        asyncio.run(AsyncDynamoDBStore("keyonce").find(ORDER))


def test_a_url_opens_a_store(moto, table):
    store = open_store(moto.url(table, skew="0s"))

    claimed = store.claim(claim_of()).record
    store.close()

    assert isinstance(store, DynamoDBStore)
    assert FIRST == claimed.owner


async def test_a_url_opens_an_async_store_that_shares_with_threads(moto, table):
    store = open_async_store(moto.url(table, skew="0s"))

    await store.claim(claim_of())
    renewed = await asyncio.to_thread(store.blocking().renew, ORDER, FIRST)
    done = await store.complete(completion_of())
    await store.close()

    assert isinstance(store, AsyncDynamoDBStore)
    assert renewed is not None
    assert done is not None


def test_an_async_store_moves_to_another_loop(moto, table):
    store = AsyncDynamoDBStore(moto.url(table))

    async def use():
        await asyncio.gather(*(store.claim(claim_of()) for _ in range(8)))
        found = await store.find(ORDER)
        await store.close()
        return found

    first, second = asyncio.run(use()), asyncio.run(use())

    assert first is not None
    assert second is not None
    assert first.record == second.record


async def test_a_client_that_is_handed_in_is_used_and_left_open(moto, table):
    from aiobotocore.session import get_session

    place = {"region_name": REGION, "endpoint_url": moto.endpoint}
    async with get_session().create_client("dynamodb", **place) as client:
        store = AsyncDynamoDBStore(table, client=client)
        await store.claim(claim_of())
        renewed = await asyncio.to_thread(store.blocking().renew, ORDER, FIRST)
        await store.close()

        described = await client.describe_table(TableName=table)

    assert renewed is not None
    assert table == described["Table"]["TableName"]


def test_closing_leaves_a_client_that_was_handed_in_open(client, table):
    store = DynamoDBStore(table, client=client)
    store.claim(claim_of())
    store.close()

    assert FIRST == record_in(DynamoDBStore(table, client=client)).owner


async def test_a_client_of_the_other_kind_is_refused(client, moto):
    from aiobotocore.session import get_session

    with pytest.raises(ConfigurationError, match="aiobotocore"):
        AsyncDynamoDBStore("keyonce", client=client)
    async with get_session().create_client("dynamodb", region_name=REGION) as other:
        with pytest.raises(ConfigurationError, match="client of boto3"):
            DynamoDBStore("keyonce", client=other)


@pytest.mark.parametrize(
    "make",
    [
        lambda: boto3.resource("dynamodb", region_name=REGION),
        lambda: boto3.resource("dynamodb", region_name=REGION).Table("keyonce"),
        lambda: boto3.client("sqs", region_name=REGION),
        lambda: "eu-west-1",
    ],
    ids=["resource", "table", "queue", "text"],
)
def test_what_is_no_client_of_dynamodb_is_refused(make):
    with pytest.raises(ConfigurationError, match=r"boto3\.client\('dynamodb'\)"):
        DynamoDBStore("keyonce", client=make())


def test_a_client_has_its_place_already(client):
    with pytest.raises(ConfigurationError, match="either a client"):
        DynamoDBStore("keyonce", client=client, region=REGION)


def test_a_table_is_made_once(client, table):
    with pytest.raises(ConfigurationError, match="already"):
        create_table(client, table)


def test_the_definition_of_the_table_is_for_whoever_makes_tables():
    definition = table_definition("mine")

    assert "mine" == definition["TableName"]
    assert "PAY_PER_REQUEST" == definition["BillingMode"]
    assert ["id", "part"] == [key["AttributeName"] for key in definition["KeySchema"]]


def test_a_new_table_is_empty_and_expires_by_itself(client, table, store):
    expiry = client.describe_time_to_live(TableName=table)

    assert [] == list(store.records(Query()))
    assert "ttl" == expiry["TimeToLiveDescription"]["AttributeName"]


def test_migrating_tells_every_version_that_a_new_table_has(moto, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    schema = DynamoDBSchema(moto.url("migrated"))
    before = schema.look()

    ran = schema.migrate()

    assert [1, 2, 3] == [each.version for each in ran]
    assert (0, 3) == (before.version, schema.look().version)
    assert "# 003_pre_index_of_open_records: made with" in schema.script(ran)
