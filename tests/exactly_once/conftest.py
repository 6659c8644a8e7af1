# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A database of each kind for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.exactly_once.shops import (
    KINDS,
    ON_MARIADB,
    ON_POSTGRES,
    TABLE,
    ask,
)
from tests.servers import postgres
from tests.servers.mariadb import MariaDB
from tests.servers.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres_server():
    server = PostgresServer(postgres.newest(), fsync="off").start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory):
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.stop()


def kinds():
    """Every driver; `-m servers` runs those that need a server."""
    for name, kind in KINDS.items():
        needs = kind in (*ON_POSTGRES, *ON_MARIADB)
        yield pytest.param(name, marks=[pytest.mark.servers] if needs else [])


@pytest.fixture(params=kinds())
def kind(request):
    return request.param


@pytest.fixture
def url(request, kind, tmp_path):
    """An empty database that the shop's table is in."""
    if KINDS[kind] in ON_POSTGRES:
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.new_database())
    elif KINDS[kind] in ON_MARIADB:
        url = request.getfixturevalue("mariadb_server").database("shop")
    else:
        url = f"sqlite:///{tmp_path}/shop.db"
        (tmp_path / "shop.db").touch(mode=0o600)
    ask(url, TABLE)
    return url


@pytest.fixture
def shop(kind, url):
    shop = KINDS[kind](url)
    yield shop
    shop.close()
