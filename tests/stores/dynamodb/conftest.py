# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One moto for all these tests, and a fresh table for each."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from keyonce.stores.dynamodb import DynamoDBStore, create_table
from keyonce.testing.clock import FakeClock
from tests.servers.moto import ENVIRONMENT, REGION, Moto, need_moto

HERE = Path(__file__).parent

NUMBERS = count(1)


@pytest.fixture(scope="session")
def moto():
    need_moto()
    server = Moto().start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture(scope="session")
def client(moto):
    """One client of boto3 for all: making one takes longer than most tests."""
    client = boto3.session.Session().client(
        "dynamodb",
        endpoint_url=moto.endpoint,
        region_name=REGION,
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",
        config=Config(max_pool_connections=100),
    )
    yield client
    client.close()


@pytest.fixture
def table(client):
    name = f"keyonce-{next(NUMBERS)}"
    create_table(client, name)
    yield name
    client.delete_table(TableName=name)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(client, table, clock):
    """A store on *table* whose clocks do not differ."""
    store = DynamoDBStore(table, client=client, skew=timedelta(0), clock=clock)
    yield store
    store.close()


def pytest_collection_modifyitems(items):
    """Each test of this folder needs a server: `-m servers` runs it."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.servers)
