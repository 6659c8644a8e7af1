# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The WSGI gateway, held against the contract that every gateway has to keep."""

from __future__ import annotations

import pytest

from keyonce.integrations.wsgi import IdempotencyMiddleware
from keyonce.stores.memory import MemoryStore
from keyonce.stores.sqlite import SQLiteStore
from keyonce.testing.integration_contract import (
    SCOPE,
    STORE_TIMEOUT,
    IntegrationContract,
    KnownApp,
    Lab,
)
from keyonce.testing.integration_scenarios.wsgi import WsgiCaller, wsgi_app


def guarded(known, store):
    return IdempotencyMiddleware(
        wsgi_app(known),
        store=known.store(store),
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
        app = guarded(known, MemoryStore(clock=known.clock))
        yield Lab(WsgiCaller(app))
        app.close()
        assert 0 == app.gateway.space.used


class TestOnSQLite(IntegrationContract):
    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls, tmp_path_factory):
        known = KnownApp()
        store = SQLiteStore(
            tmp_path_factory.mktemp("store") / "keyonce.db", clock=known.clock
        )
        app = guarded(known, store)
        yield Lab(WsgiCaller(app))
        app.close()
        store.close()
