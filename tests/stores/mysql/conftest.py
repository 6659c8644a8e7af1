# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A MariaDB server for all tests of this folder, and an empty database for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.mariadb import MariaDB

HERE = Path(__file__).parent

TABLES = ("keyonce_records", "keyonce_renewals", "keyonce_audits")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path):
    """A server that a test may hurt."""
    server = MariaDB(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def url(server):
    """An empty database that keyonce has never been in."""
    return server.database("keyonce")


@pytest.fixture
def used_url(server):
    """An empty database that may have keyonce's tables; quicker to have."""
    known = {name for (name,) in server.ask("SHOW DATABASES")}
    if "used" not in known:
        return server.database("used")
    for table in TABLES:
        server.ask(f"DELETE FROM {table}", "used")
    return server.url("used")


def pytest_collection_modifyitems(items):
    """Each test of this folder needs a server: `-m servers` runs it."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.servers)
