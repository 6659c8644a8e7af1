# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A new database of each store, on servers that live as long as these tests."""

from __future__ import annotations

from itertools import count

import pytest

from tests.golden.others import DynamoDBPlace, RedisPlace
from tests.golden.places import MySQLPlace, PostgresPlace, SQLitePlace
from tests.servers.mariadb import MariaDB
from tests.servers.moto import ENVIRONMENT, Moto, need_moto
from tests.servers.postgres import PostgresServer, newest
from tests.servers.redis import RedisServer, redis_program

SQL_STORES = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.servers),
    pytest.param("mysql", marks=pytest.mark.servers),
]


NUMBERS = count(1)


@pytest.fixture(scope="session")
def postgres_server():
    server = PostgresServer(newest(), fsync="off", synchronous_commit="off").start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def mysql_server(tmp_path_factory):
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis")
    server = RedisServer(redis_program(), folder).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def moto():
    need_moto()
    server = Moto().start()
    yield server
    server.stop()


@pytest.fixture
def new_place(request, tmp_path):
    """Give a function that makes an empty database of the store of that name."""

    def new(name):
        match name:
            case "sqlite":
                return SQLitePlace(tmp_path)
            case "postgres":
                return PostgresPlace(request.getfixturevalue("postgres_server"))
            case "mysql":
                server = request.getfixturevalue("mysql_server")
                return MySQLPlace(server, f"golden{next(NUMBERS)}")
            case "redis":
                server = request.getfixturevalue("redis_server")
                server.ask("FLUSHALL")
                return RedisPlace(server.url)
        server = request.getfixturevalue("moto")
        server.restart()
        return DynamoDBPlace(server)

    return new


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
