# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Both gateways under exactly-once, on SQLite, held against the contract."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing

import pytest

from keyonce.integrations import asgi, wsgi
from keyonce.stores.sealed import AsyncSealed, KeyRing, Sealed
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.integration_contract import (
    SCOPE,
    STORE_TIMEOUT,
    CommitContract,
    Lab,
)
from keyonce.testing.integration_scenarios.asgi import AsgiCaller
from keyonce.testing.integration_scenarios.committing_app import (
    CommittingApp,
    Tables,
    committing_asgi,
    committing_wsgi,
)
from keyonce.testing.integration_scenarios.wsgi import WsgiCaller

RING = KeyRing({"2026": b"k" * 32}, current="2026")


def tables(path, *, on_loop):
    """Orders in the file at *path*."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (name TEXT)")

    def connect():
        return closing(sqlite3.connect(path, timeout=20))

    @asynccontextmanager
    async def connect_on_loop():
        with connect() as connection:
            yield connection

    def rows(run):
        asked = "SELECT count(*) FROM orders WHERE name = ?"
        with connect() as connection:
            return connection.execute(asked, (run,)).fetchone()[0]

    def collide(_connection):
        with closing(sqlite3.connect(path, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")

    return Tables(connect_on_loop if on_loop else connect, rows, collide)


def settings(known):
    return {
        "scope": SCOPE,
        "rules": known.rules(),
        "observer": known,
        "store_timeout": STORE_TIMEOUT,
    }


def asgi_lab(path, seal=None):
    clock = FakeClock()
    file = AsyncSQLiteStore(path, clock=clock)
    store = file if seal is None else AsyncSealed(file, seal, clock=clock)
    known = CommittingApp(tables(path, on_loop=True), store.blocking(), clock)
    app = asgi.IdempotencyMiddleware(
        committing_asgi(known), store=store, **settings(known)
    )
    caller = AsgiCaller(app)
    yield Lab(caller)
    left_over = caller.left_over()
    caller.close()
    file.blocking().close()
    assert [] == left_over
    assert 0 == app.gateway.space.used


def wsgi_lab(path, seal=None):
    clock = FakeClock()
    file = SQLiteStore(path, clock=clock)
    store = file if seal is None else Sealed(file, seal, clock=clock)
    known = CommittingApp(tables(path, on_loop=False), store, clock)
    app = wsgi.IdempotencyMiddleware(
        committing_wsgi(known), store=store, **settings(known)
    )
    yield Lab(WsgiCaller(app))
    app.close()
    file.close()
    assert 0 == app.gateway.space.used


class TestASGIOnSQLite(CommitContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, tmp_path_factory):
        yield from asgi_lab(tmp_path_factory.mktemp("store") / "shop.db")


class TestWSGIOnSQLite(CommitContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, tmp_path_factory):
        yield from wsgi_lab(tmp_path_factory.mktemp("store") / "shop.db")


class TestASGISealed(CommitContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, tmp_path_factory):
        yield from asgi_lab(tmp_path_factory.mktemp("store") / "shop.db", RING)


class TestWSGISealed(CommitContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, tmp_path_factory):
        yield from wsgi_lab(tmp_path_factory.mktemp("store") / "shop.db", RING)
