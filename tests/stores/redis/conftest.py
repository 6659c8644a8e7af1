# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Servers that live as long as the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.redis import (
    RedisCluster,
    RedisServer,
    Sentinels,
    redis_program,
    valkey_program,
)

HERE = Path(__file__).parent

PROGRAMS = {"redis": redis_program, "valkey": valkey_program}


def running(server):
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session", params=list(PROGRAMS))
def any_server(request, tmp_path_factory):
    """One server of each make."""
    folder = tmp_path_factory.mktemp(request.param)
    yield from running(RedisServer(PROGRAMS[request.param](), folder))


@pytest.fixture(scope="session")
def one_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis")
    yield from running(RedisServer(redis_program(), folder))


@pytest.fixture
def server(one_server):
    """An empty server, shared with other tests: leave it running."""
    one_server.flush()
    return one_server


@pytest.fixture
def own_server(tmp_path):
    """A server for a test that does it harm."""
    yield from running(RedisServer(redis_program(), tmp_path / "redis"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    yield from running(RedisCluster(redis_program(), folder))


@pytest.fixture(scope="session")
def sentinels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentinels")
    yield from running(Sentinels(redis_program(), folder))


def pytest_collection_modifyitems(items):
    """Each test of this folder needs a server: `-m servers` runs it."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.servers)
