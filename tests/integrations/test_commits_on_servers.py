# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Both gateways under exactly-once, on PostgreSQL, held against the contract."""

from __future__ import annotations

from contextlib import asynccontextmanager, closing

import psycopg
import pytest

from keyonce.integrations import asgi, wsgi
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.integration_contract import CommitContract, Lab
from keyonce.testing.integration_scenarios.asgi import AsgiCaller
from keyonce.testing.integration_scenarios.committing_app import (
    CommittingApp,
    Tables,
    committing_asgi,
    committing_wsgi,
)
from keyonce.testing.integration_scenarios.wsgi import WsgiCaller
from tests.integrations.test_commits import settings

pytestmark = pytest.mark.servers


def tables(url, *, on_loop):
    """Orders in the database at *url*."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE orders (name text)")

    def connect():
        return closing(psycopg.connect(url))

    @asynccontextmanager
    async def connect_on_loop():
        async with await psycopg.AsyncConnection.connect(url) as connection:
            yield connection

    def rows(run):
        asked = "SELECT count(*) FROM orders WHERE name = %s"
        with psycopg.connect(url) as connection:
            return connection.execute(asked, (run,)).fetchall()[0][0]

    def collide(connection):
        failure = "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"
        return connection.execute(failure)

    return Tables(connect_on_loop if on_loop else connect, rows, collide)


class TestASGIOnPostgreSQL(CommitContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, postgres_server):
        url, clock = postgres_server.url(postgres_server.new_database()), FakeClock()
        store = AsyncPostgresStore(url, durability="declared", clock=clock)
        beside = PostgresStore(url, durability="declared", clock=clock)
        known = CommittingApp(tables(url, on_loop=True), beside, clock)
        app = asgi.IdempotencyMiddleware(
            committing_asgi(known), store=store, **settings(known)
        )

        async def whole(scope, receive, send):
            await app(scope, receive, send)
            if scope["type"] == "lifespan":
                await store.close()

        caller = AsgiCaller(whole)
        yield Lab(caller)
        caller.close()
        beside.close()
        assert 0 == app.gateway.space.used


class TestWSGIOnPostgreSQL(CommitContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, postgres_server):
        url, clock = postgres_server.url(postgres_server.new_database()), FakeClock()
        store = PostgresStore(url, durability="declared", clock=clock)
        known = CommittingApp(tables(url, on_loop=False), store, clock)
        app = wsgi.IdempotencyMiddleware(
            committing_wsgi(known), store=store, **settings(known)
        )
        yield Lab(WsgiCaller(app))
        app.close()
        store.close()
        assert 0 == app.gateway.space.used
