# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Servers of stores that these tests may kill; each keeps what it has acknowledged."""

from __future__ import annotations

import pytest

from tests.servers.mariadb import MariaDB
from tests.servers.postgres import PostgresServer, newest
from tests.servers.redis import RedisServer, redis_program


@pytest.fixture(scope="module")
def postgres():
    """A server, and the URL of an empty database on it."""
    server = PostgresServer(newest()).start()
    yield server, server.url(server.new_database())
    server.close()


@pytest.fixture(scope="module")
def mysql(tmp_path_factory):
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server, server.database("keyonce")
    server.kill()


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    server = RedisServer(redis_program(), tmp_path_factory.mktemp("redis"))
    server.start()
    yield server, server.url
    server.stop()
