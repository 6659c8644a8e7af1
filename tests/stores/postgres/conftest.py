# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One private server of each version at hand, for as long as the tests run."""

from __future__ import annotations

import os

import pytest

from tests.servers.postgres import PostgresServer, installed

VERSIONS = installed()


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
    server = PostgresServer(VERSIONS[request.param]).start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def server():
    """The newest version."""
    if not VERSIONS:
        missing("PostgreSQL")
    server = PostgresServer(VERSIONS[max(VERSIONS, key=int)]).start()
    yield server
    server.close()


@pytest.fixture
def url(server):
    """An empty database."""
    return server.url(server.new_database())
