# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Servers of stores, for the tests of the gateways on them."""

from __future__ import annotations

import pytest

from tests.servers.postgres import PostgresServer, newest
from tests.servers.redis import RedisServer, redis_program

# These tests kill nobody: nothing has to outlive a crash.
QUICK = {"fsync": "off", "autovacuum": "off"}


@pytest.fixture(scope="module")
def postgres_server():
    server = PostgresServer(newest(), **QUICK).start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    server = RedisServer(redis_program(), tmp_path_factory.mktemp("redis"))
    yield server.start()
    server.stop()
