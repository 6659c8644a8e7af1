# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Both gateways on stores of servers, held against the contract for gateways."""

from __future__ import annotations

import pytest

from keyonce.integrations import asgi, wsgi
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.stores.redis import AsyncRedisStore, RedisStore
from keyonce.testing.integration_contract import (
    SCOPE,
    STORE_TIMEOUT,
    IntegrationContract,
    KnownApp,
    Lab,
)
from keyonce.testing.integration_scenarios.asgi import AsgiCaller, asgi_app
from keyonce.testing.integration_scenarios.wsgi import WsgiCaller, wsgi_app

pytestmark = pytest.mark.servers


def settings(known):
    return {
        "scope": SCOPE,
        "rules": known.rules(),
        "observer": known,
        "store_timeout": STORE_TIMEOUT,
    }


def asgi_lab(known, store):
    app = asgi.IdempotencyMiddleware(
        asgi_app(known), store=known.async_store(store), **settings(known)
    )

    async def whole(scope, receive, send):
        await app(scope, receive, send)
        if scope["type"] == "lifespan":
            await store.close()

    caller = AsgiCaller(whole)
    yield Lab(caller)
    caller.close()


def wsgi_lab(known, store):
    app = wsgi.IdempotencyMiddleware(
        wsgi_app(known), store=known.store(store), **settings(known)
    )
    yield Lab(WsgiCaller(app))
    app.close()
    store.close()


class TestASGIOnPostgreSQL(IntegrationContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, postgres_server):
        known = KnownApp()
        url = postgres_server.url(postgres_server.new_database())
        store = AsyncPostgresStore(url, durability="declared", clock=known.clock)
        yield from asgi_lab(known, store)


class TestWSGIOnPostgreSQL(IntegrationContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, postgres_server):
        known = KnownApp()
        url = postgres_server.url(postgres_server.new_database())
        store = PostgresStore(url, durability="declared", clock=known.clock)
        yield from wsgi_lab(known, store)


class TestASGIOnRedis(IntegrationContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, redis_server):
        known = KnownApp()
        store = AsyncRedisStore(redis_server.url, prefix="asgi", clock=known.clock)
        yield from asgi_lab(known, store)


class TestWSGIOnRedis(IntegrationContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, redis_server):
        known = KnownApp()
        store = RedisStore(redis_server.url, prefix="wsgi", clock=known.clock)
        yield from wsgi_lab(known, store)
