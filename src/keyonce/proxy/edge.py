# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The outermost layer: Date, no steering headers, and an answer for a failed upstream.

The guard answers for itself in guarded work; this layer does it for all else.
"""

from __future__ import annotations

import json
import logging
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import OutcomeUnknown
from keyonce.http.dialect import STEERING_PREFIX
from keyonce.proxy.connector import UpstreamBroke, UpstreamUnreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HEADS: Final = frozenset(
    {
        "http.response.start",
        "websocket.accept",
        "websocket.http.response.start",
    }
)

logger = logging.getLogger("keyonce")


class Edge:
    """Wraps the guard and everything behind it."""

    def __init__(self, app: App) -> None:
        """Serve *app*."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        outward = _Outward(send)
        try:
            await self._app(scope, receive, outward)
        except (UpstreamUnreachable, UpstreamBroke) as failure:
            logger.warning("%s %s: %s", scope.get("method", ""), scope["path"], failure)
            # Once the head has left, returning early makes the server cut off.
            if not outward.started:
                await _answer(scope, outward, failure)


class _Outward:
    """Sends on, and remembers whether a head has left."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] in _HEADS:
            self.started = True
            message = {**message, "headers": _outward(message.get("headers", ()))}
        await self._send(message)


def _outward(headers: Any) -> list[tuple[bytes, bytes]]:
    kept = [(n, v) for n, v in headers if not n.lower().startswith(STEERING_PREFIX)]
    if not any(name.lower() == b"date" for name, _ in kept):
        kept.append((b"date", formatdate(usegmt=True).encode()))
    return kept


async def _answer(
    scope: Scope, send: Send, failure: UpstreamUnreachable | UpstreamBroke
) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1013})
        return
    body = _problem(failure)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send(
        {"type": "http.response.start", "status": failure.status, "headers": headers}
    )
    await send({"type": "http.response.body", "body": body})


def _problem(failure: UpstreamUnreachable | UpstreamBroke) -> bytes:
    unclear = isinstance(failure, OutcomeUnknown)
    title = "The upstream broke off" if unclear else "The upstream cannot be reached"
    detail = (
        "The request was sent; nobody can say whether it was carried out."
        if unclear
        else "Nothing was sent to it."
    )
    return json.dumps(
        {
            "type": "about:blank",
            "title": title,
            "status": failure.status,
            "detail": detail,
            "code": "upstream-failed" if unclear else "upstream-unreachable",
            "retryable": not unclear,
        }
    ).encode()
