# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The app that is measured bare and guarded, and requests to it.

The factories are for uvicorn; where the records go comes by the environment.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, Final

from keyonce import AsyncMemoryStore, by_header
from keyonce.integrations.asgi import IdempotencyMiddleware

if TYPE_CHECKING:
    from keyonce.core.protocols import AsyncStore
    from keyonce.integrations.asgi_request import ASGIApp, Receive, Scope, Send

FILE: Final = "KEYONCE_BENCHMARK_FILE"
URL: Final = "KEYONCE_BENCHMARK_URL"
FLIGHTS: Final = "KEYONCE_BENCHMARK_FLIGHTS"
SCOPE: Final = by_header("X-Api-Key")
ANSWER: Final = b'{"id":"ord_1","status":"created","note":"' + b"n" * 256 + b'"}'
HEADERS: Final = (
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(ANSWER)),
)
RAW: Final = b"x" * 300
TEN_FIELDS: Final = json.dumps(
    {
        "amount": 1999,
        "currency": "EUR",
        "customer": "cus_8f2c1e55",
        "description": "Order 1234",
        "capture": True,
        "email": "someone@example.org",
        "reference": "inv-2024-000117",
        "quantity": 3,
        "locale": "de-DE",
        "channel": "web",
    }
).encode()


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Read a small request and answer with about 300 bytes."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    await receive()
    await send({"type": "http.response.start", "status": 201, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER, "more_body": False})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


class Meeting:
    """Reads each body a piece at a time, and answers when all requests are here."""

    def __init__(self, expected: int) -> None:
        """Wait for *expected* requests."""
        self._missing = expected
        self._all_here = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        while (await receive()).get("more_body", False):
            pass
        self._missing -= 1
        if self._missing <= 0:
            self._all_here.set()
        await self._all_here.wait()
        await send({"type": "http.response.start", "status": 201, "headers": HEADERS})
        await send({"type": "http.response.body", "body": ANSWER, "more_body": False})


def guard(app: ASGIApp, store: AsyncStore | str) -> IdempotencyMiddleware:
    """Put the middleware around *app*, with its defaults."""
    return IdempotencyMiddleware(app, store=store, scope=SCOPE)


def bare() -> ASGIApp:
    """Make the app as it is."""
    return answer


def memory() -> ASGIApp:
    """Make the app guarded, with records in memory."""
    return guard(answer, AsyncMemoryStore())


def sqlite() -> ASGIApp:
    """Make the app guarded, with records in a file."""
    return guard(answer, f"sqlite:///{os.environ[FILE]}")


def remote() -> ASGIApp:
    """Make the app guarded, with records in the store of a URL."""
    return guard(answer, os.environ[URL])


def meeting() -> ASGIApp:
    """Make an app that holds many large requests at once, guarded in memory."""
    return guard(Meeting(int(os.environ[FLIGHTS])), AsyncMemoryStore())


def scope_of(key: bytes, media_type: bytes = b"text/plain") -> dict[str, Any]:
    """Give the ASGI scope of one POST."""
    return {
        "type": "http",
        "method": "POST",
        "path": "/orders",
        "raw_path": b"/orders",
        "query_string": b"",
        "headers": [
            (b"host", b"shop.example"),
            (b"content-type", media_type),
            (b"x-api-key", b"tenant-1"),
            (b"idempotency-key", key),
        ],
    }
