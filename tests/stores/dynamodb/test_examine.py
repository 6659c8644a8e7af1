# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What `doctor` finds in a table."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from keyonce.core.errors import StoreUnavailable
from keyonce.stores.dynamodb import DynamoDBStore, table_definition
from tests.stores.dynamodb.wires import refusing, wired


def findings(client, table, **settings):
    """What is found, by subject."""
    store = DynamoDBStore(table, client=client, **settings)
    return {finding.subject: finding for finding in store.examine()}


def levels(found):
    return {subject: finding.level for subject, finding in found.items()}


def answering(client, operation, change):
    """A client whose answers to *operation* are changed by *change*."""

    def around(name, parameters, send):
        answer = send()
        return change(answer) if name == operation else answer

    return wired(client, around)


def test_our_own_table_is_well(client, table):
    found = findings(client, table)

    assert levels(found) == {
        "table": "ok",
        "key schema": "ok",
        "index": "ok",
        "regions": "ok",
        "clock": "ok",
        "expiry": "ok",
        "recovery": "ok",
    }
    assert "recovery is off" in found["recovery"].detail


def test_a_missing_table_is_an_error_with_its_mend(client):
    found = findings(client, "nowhere")

    assert "error" == found["table"].level
    assert "create_table" in found["table"].detail


def test_another_key_schema_is_an_error(client):
    client.create_table(
        TableName="strange",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    found = findings(client, "strange")

    assert "error" == found["key schema"].level
    assert "warning" == found["index"].level
    assert "warning" == found["expiry"].level
    client.delete_table(TableName="strange")


def test_numbers_for_keys_are_an_error(client):
    definition = table_definition("numbered")
    definition["AttributeDefinitions"][0]["AttributeType"] = "N"
    client.create_table(**definition)

    assert "error" == findings(client, "numbered")["key schema"].level
    client.delete_table(TableName="numbered")


def test_expiry_that_is_off_is_a_warning(client, table):
    client.update_time_to_live(
        TableName=table,
        TimeToLiveSpecification={"Enabled": False, "AttributeName": "ttl"},
    )

    assert "purge" in findings(client, table)["expiry"].mend


def test_recovery_that_is_on_is_said(client, table):
    client.update_continuous_backups(
        TableName=table,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )

    assert "recovery is on" in findings(client, table)["recovery"].detail


def test_a_global_table_is_a_warning(client, table):
    def replicate(answer):
        answer["Table"]["Replicas"] = [{"RegionName": "us-east-1"}]
        return answer

    wire = answering(client, "describe_table", replicate)
    found = findings(wire, table)["regions"]

    assert "warning" == found.level
    assert "may run in both" in found.detail
    assert "one Region" in found.mend


def test_a_table_that_goes_is_an_error(client, table):
    def deleting(answer):
        answer["Table"]["TableStatus"] = "DELETING"
        return answer

    wire = answering(client, "describe_table", deleting)

    assert "error" == findings(wire, table)["table"].level


@pytest.mark.parametrize("ahead", [-60, 60])
def test_a_clock_beyond_the_margin_is_an_error(client, table, ahead):
    found = findings(client, table, clock=lambda: time.time() + ahead)["clock"]

    assert "error" == found.level
    assert "NTP" in found.mend


def test_a_margin_that_is_declared_is_kept(client, table):
    found = findings(
        client, table, clock=lambda: time.time() + 20, skew=timedelta(minutes=1)
    )

    assert "ok" == found["clock"].level


def test_what_may_not_be_looked_at_is_a_warning(client, table):
    def around(name, parameters, send):
        if name.startswith("describe"):
            return refusing(client, "AccessDeniedException", times=1).put_item()
        return send()

    found = findings(wired(client, around), table)

    assert {"table": "warning", "clock": "warning"} == levels(found)
    assert "dynamodb:DescribeTable" in found["table"].mend


def test_settings_that_a_server_does_not_know_are_warnings(client, table):
    def around(name, parameters, send):
        if name in ("describe_time_to_live", "describe_continuous_backups"):
            return refusing(client, "UnknownOperationException", times=1).put_item()
        return send()

    found = levels(findings(wired(client, around), table))

    assert ("ok", "warning", "ok") == (
        found["table"],
        found["expiry"],
        found["recovery"],
    )


def test_a_server_that_is_gone_is_told_as_such(client, table):
    wire = refusing(client, "InternalServerError", times=1000)
    store = DynamoDBStore(table, client=wire, store_timeout=timedelta(seconds=0.2))

    with pytest.raises(StoreUnavailable):
        store.examine()
