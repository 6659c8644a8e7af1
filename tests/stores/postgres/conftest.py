# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One private server of each version at hand, for as long as the tests run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import postgres
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import PostgresServer, installed

HERE = Path(__file__).parent

VERSIONS = installed()
QUICK = {"fsync": "off", "synchronous_commit": "off"}


@pytest.fixture(scope="session", params=sorted(VERSIONS) or [None])
def every_server(request):
    """Each version in turn."""
    programs = VERSIONS[request.param] if request.param else postgres.newest()
    server = PostgresServer(programs, **QUICK).start()
    yield server
    server.close()


def newest(**settings):
    return PostgresServer(postgres.newest(), **settings).start()


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
