# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The ASGI gateway, held against the contract that every gateway has to keep."""

from __future__ import annotations

import pytest

from keyonce.integrations.asgi import IdempotencyMiddleware
from keyonce.stores.memory import AsyncMemoryStore
from keyonce.stores.sqlite import AsyncSQLiteStore
from keyonce.testing.integration_contract import (
    SCOPE,
    STORE_TIMEOUT,
    IntegrationContract,
    KnownApp,
    Lab,
)
from keyonce.testing.integration_scenarios.asgi import AsgiCaller, asgi_app


def guarded(known, store):
    return IdempotencyMiddleware(
        asgi_app(known),
        store=known.async_store(store),
        scope=SCOPE,
        rules=known.rules(),
        observer=known,
        store_timeout=STORE_TIMEOUT,
    )


class TestOnMemory(IntegrationContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls):
        known = KnownApp()
        app = guarded(known, AsyncMemoryStore(clock=known.clock))
        caller = AsgiCaller(app)
        yield Lab(caller)
        left_over = caller.left_over()
        caller.close()
        assert [] == left_over
        assert 0 == app.gateway.space.used


class TestOnSQLite(IntegrationContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, tmp_path_factory):
        known = KnownApp()
        path = tmp_path_factory.mktemp("store") / "keyonce.db"
        store = AsyncSQLiteStore(path, clock=known.clock)
        caller = AsgiCaller(guarded(known, store))
        yield Lab(caller)
        caller.close()
        store.blocking().close()
