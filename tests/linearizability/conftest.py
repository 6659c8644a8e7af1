# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A server of each kind for the recorded histories, while they are recorded."""

from __future__ import annotations

import pytest

from tests.servers.mariadb import MariaDB
from tests.servers.postgres import PostgresServer, newest
from tests.servers.redis import RedisServer, redis_program


@pytest.fixture(scope="module")
def postgres_place():
    server = PostgresServer(newest(), fsync="off", synchronous_commit="off").start()
    yield server.url(server.new_database())
    server.close()


@pytest.fixture(scope="module")
def mysql_place(tmp_path_factory):
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server.database("keyonce")
    server.stop()


@pytest.fixture(scope="module")
def redis_place(tmp_path_factory):
    server = RedisServer(redis_program(), tmp_path_factory.mktemp("redis"))
    yield server.start().url
    server.stop()
