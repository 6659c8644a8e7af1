# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Servers of their own for lives, each behind a line that can be cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.exactly_once.shops import TABLE, ask
from tests.nth_call.places import Place
from tests.servers.mariadb import MariaDB
from tests.servers.moto import ENVIRONMENT, REGION, Moto, need_moto
from tests.servers.postgres import PostgresServer, newest
from tests.servers.redis import RedisServer, redis_program
from tests.servers.relay import Relay

SERVED: Final = (
    "postgres",
    "mysql",
    "redis",
    "dynamodb",
    "sealed postgres",
    "tiered postgres",
)


@contextmanager
def served(kind: str, folder: Path) -> Iterator[Place]:
    """Give the one place that all lives of *kind* share."""
    at = {"mysql": _mariadb, "redis": _redis, "dynamodb": _moto}.get(kind, _postgres)
    with at(folder) as (near, port, shops):
        line = Relay(port)
        try:
            far = near.replace(f":{port}", f":{line.port}")
            yield Place(kind, near, far, line, shops)
        finally:
            line.close()


At = tuple[str, int, tuple[str, str]]


@contextmanager
def _postgres(folder: Path) -> Iterator[At]:
    server = PostgresServer(newest(), fsync="off", synchronous_commit="off").start()
    try:
        url = server.url(server.new_database())
        ask(url, TABLE)
        yield url, server.port, ("Psycopg", "AsyncPsycopg")
    finally:
        server.close()


@contextmanager
def _mariadb(folder: Path) -> Iterator[At]:
    server = MariaDB(folder)
    server.start()
    try:
        url = server.database("keyonce")
        ask(url, TABLE)
        yield url, server.port, ("PyMySQL", "Asyncmy")
    finally:
        server.stop()


@contextmanager
def _redis(folder: Path) -> Iterator[At]:
    server = RedisServer(redis_program(), folder).start()
    try:
        yield server.url, server.port, ("", "")
    finally:
        server.stop()


@contextmanager
def _moto(folder: Path) -> Iterator[At]:
    from keyonce.stores.dynamodb import create_table

    need_moto()
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    server = Moto().start()
    try:
        import boto3

        client = boto3.session.Session().client(
            "dynamodb", endpoint_url=server.endpoint, region_name=REGION
        )
        create_table(client, "keyonce")
        client.close()
        yield server.url("keyonce"), server.port, ("", "")
    finally:
        server.stop()
        os.environ.clear()
        os.environ.update(before)
