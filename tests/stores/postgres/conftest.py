# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One private server of each version at hand, for as long as the tests run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.servers.pgbouncer import PgBouncer, program
from tests.servers.postgres import PostgresServer, installed

HERE = Path(__file__).parent

VERSIONS = installed()
QUICK = {"fsync": "off", "synchronous_commit": "off"}


def missing(what):
    """Skip, or fail where every service has to be there."""
    if os.environ.get("KEYONCE_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} is not there, and KEYONCE_REQUIRE_SERVICES is 1")
    pytest.skip(f"{what} is not there")


@pytest.fixture(scope="session", params=sorted(VERSIONS) or [None])
def every_server(request):
    """Each version in turn."""
    if request.param is None:
        missing("PostgreSQL")
    server = PostgresServer(VERSIONS[request.param], **QUICK).start()
    yield server
    server.close()


def newest(**settings):
    if not VERSIONS:
        missing("PostgreSQL")
    return PostgresServer(VERSIONS[max(VERSIONS, key=int)], **settings).start()


@pytest.fixture(scope="session")
def server():
    """The newest version, as durable as by default."""
    server = newest()
    yield server
    server.close()


@pytest.fixture(scope="session")
def quick_server():
    """The newest version, where nothing has to outlive a crash."""
    server = newest(**QUICK)
    yield server
    server.close()


@pytest.fixture(scope="session")
def pooler(quick_server):
    """A pgbouncer in transaction mode before the quick server."""
    if program() is None:
        missing("pgbouncer")
    pooler = PgBouncer(quick_server)
    yield pooler
    pooler.close()


@pytest.fixture
def url(server):
    """An empty database."""
    return server.url(server.new_database())


def pytest_collection_modifyitems(items):
    """Each test of this folder needs a server: `-m servers` runs it."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.servers)
