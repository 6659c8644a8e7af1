# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Work that would wait for itself is told so, wherever it comes from."""

from __future__ import annotations

import asyncio
import io
from datetime import timedelta

import pytest

from keyonce import Policy, Rule, by_header
from keyonce.core.errors import ConfigurationError
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.sync import Guard
from keyonce.engine.work import current_work
from keyonce.integrations.wsgi import IdempotencyMiddleware
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore

WAITS = Policy(in_flight="wait", patience=timedelta(hours=1))  # type: ignore[arg-type]
SAID = "from inside its own work"


async def test_a_coroutine_inside_itself():
    guard = AsyncGuard(AsyncMemoryStore(MemoryStore()))

    @guard.once("pay", key=lambda: "order-1", policy=WAITS)
    async def pay():
        await asyncio.create_task(pay())

    with pytest.raises(ConfigurationError, match=SAID):
        await pay()
    await guard.close()


async def test_a_function_inside_a_coroutine_over_one_store():
    memory = MemoryStore()
    guard, plain = AsyncGuard(AsyncMemoryStore(memory)), Guard(memory)

    @plain.once("pay", key=lambda: "order-1", policy=WAITS)
    def pay_plainly():
        raise AssertionError

    @guard.once("pay", key=lambda: "order-1", policy=WAITS)
    async def pay():
        await asyncio.to_thread(pay_plainly)

    with pytest.raises(ConfigurationError, match=SAID):
        await pay()
    await guard.close()
    plain.close()


def test_a_function_inside_a_request_with_the_same_key():
    memory, raised = MemoryStore(), []
    guard = Guard(memory)

    def app(environ, start_response):
        whose = current_work().identity
        once = guard.once(
            whose.operation, key=lambda: whose.key, scope=whose.scope, policy=WAITS
        )
        try:
            once(lambda: None)()
        except ConfigurationError as error:
            raised.append(str(error))
        start_response("201 Created", [])
        return [b"done"]

    guarded = IdempotencyMiddleware(
        app, store=memory, scope=by_header("X-Api-Key"), rules=[Rule("POST /**", WAITS)]
    )
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/charges",
        "CONTENT_LENGTH": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_IDEMPOTENCY_KEY": "charge-1",
        "HTTP_X_API_KEY": "ann",
        "wsgi.input": io.BytesIO(),
    }
    answer = guarded(
        environ, lambda _status, _headers, _info=None, /: lambda _data: None
    )

    assert b"done" == b"".join(answer)
    assert 1 == len(raised)
    assert SAID in raised[0]
    guarded.close()
    guard.close()
