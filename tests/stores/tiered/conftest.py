# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Servers for the caches and the durable stores of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyonce.stores.sqlite import SQLiteStore
from keyonce.testing.clock import FakeClock
from tests.servers.postgres import PostgresServer, newest
from tests.servers.redis import RedisServer, redis_program, valkey_program

HERE = Path(__file__).parent
PROGRAMS = {"redis": redis_program, "valkey": valkey_program}

# A cache needs neither a disk nor a promise.
FLEETING = ("--save", "", "--appendonly", "no")
QUICK = {"fsync": "off", "synchronous_commit": "off"}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def durable(tmp_path, clock):
    store = SQLiteStore(tmp_path / "keyonce.db", clock=clock)
    yield store
    store.close()


@pytest.fixture(scope="session", params=list(PROGRAMS))
def any_cache_server(request, tmp_path_factory):
    """One server of each make."""
    folder = tmp_path_factory.mktemp(request.param)
    server = RedisServer(PROGRAMS[request.param](), folder, *FLEETING)
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def one_cache_server(tmp_path_factory):
    server = RedisServer(redis_program(), tmp_path_factory.mktemp("redis"), *FLEETING)
    yield server.start()
    server.stop()


@pytest.fixture
def server(one_cache_server):
    """An empty server, shared with other tests: leave it running."""
    one_cache_server.flush()
    return one_cache_server


@pytest.fixture
def own_server(tmp_path):
    """A server for a test that does it harm."""
    server = RedisServer(redis_program(), tmp_path / "redis", *FLEETING)
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def postgres():
    server = PostgresServer(newest(), **QUICK).start()
    yield server
    server.close()


SERVERS = {"any_cache_server", "server", "own_server", "postgres"}


def pytest_collection_modifyitems(items):
    """Tests that take a server: `-m servers` runs them."""
    for item in items:
        if HERE in item.path.parents and SERVERS & set(item.fixturenames):
            item.add_marker(pytest.mark.servers)
