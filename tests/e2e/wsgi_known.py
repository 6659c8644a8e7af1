# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The known app behind the WSGI gateway, for a server to import."""

from __future__ import annotations

from keyonce.integrations.wsgi import IdempotencyMiddleware
from keyonce.stores.memory import MemoryStore
from keyonce.testing.integration_contract import SCOPE, STORE_TIMEOUT, KnownApp
from keyonce.testing.integration_scenarios.wsgi import wsgi_app

known = KnownApp()
app = IdempotencyMiddleware(
    wsgi_app(known),
    store=known.store(MemoryStore(clock=known.clock)),
    scope=SCOPE,
    rules=known.rules(),
    observer=known,
    store_timeout=STORE_TIMEOUT,
)
