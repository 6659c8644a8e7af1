# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The known app behind the ASGI gateway, for a server to import."""

from __future__ import annotations

from keyonce.integrations.asgi import IdempotencyMiddleware
from keyonce.stores.memory import AsyncMemoryStore
from keyonce.testing.integration_contract import SCOPE, STORE_TIMEOUT, KnownApp
from keyonce.testing.integration_scenarios.asgi import asgi_app

known = KnownApp()
app = IdempotencyMiddleware(
    asgi_app(known),
    store=known.async_store(AsyncMemoryStore(clock=known.clock)),
    scope=SCOPE,
    rules=known.rules(),
    observer=known,
    store_timeout=STORE_TIMEOUT,
)
