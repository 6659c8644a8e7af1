# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The outermost layer: Date, no steering headers, CORS, an answer for every failure.

The guard answers for itself in guarded work; this layer does it for all else.
"""

from __future__ import annotations

import logging
import random
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

from keyonce.http.dialect import STEERING_PREFIX
from keyonce.http.problem import response
from keyonce.integrations.asgi_response import ResponseCutOff
from keyonce.proxy.connector import UpstreamBroke, UpstreamUnreachable
from keyonce.proxy.failures import AuthorizerUnavailable, log_failure, problem_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from keyonce.http.messages import Headers
    from keyonce.http.problem import Problem
    from keyonce.proxy.cors import CorsRules

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HEADS: Final = frozenset(
    {"http.response.start", "websocket.accept", "websocket.http.response.start"}
)

logger = logging.getLogger("keyonce")


class Edge:
    """Wraps the guard and everything behind it."""

    def __init__(
        self,
        app: App,
        *,
        cors: CorsRules | None = None,
        docs_url: str | None = None,
        spread: Callable[[], float] = random.random,
    ) -> None:
        """Serve *app*; *docs_url* is linked from every problem.

        *spread* gives a number from 0 to below 1 for each answer with a Retry-After.
        """
        self._app = app
        self._cors = cors
        self._docs_url = docs_url
        self._spread = spread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP or WebSocket connection."""
        outward = _Outward(send, scope, self._cors)
        if self._cors and (preflight := self._cors.preflight(scope)) is not None:
            await _send_empty(outward, 204, preflight)
            return
        try:
            await self._app(scope, receive, outward)
        except (UpstreamUnreachable, UpstreamBroke, AuthorizerUnavailable) as failure:
            if isinstance(failure, AuthorizerUnavailable):
                log_failure(scope, failure)
            # Once the head has left, returning early makes the server cut off.
            if not outward.started:
                await self._answer(scope, outward, problem_of(failure))
        except ResponseCutOff:
            logger.warning("%s: an answer without a record was cut off", scope["path"])

    async def _answer(self, scope: Scope, send: Send, problem: Problem) -> None:
        if scope["type"] == "websocket":
            # RFC 6455 has no code for a gateway's failure: "try again later".
            await send({"type": "websocket.close", "code": 1013})
            return
        told = response(problem, docs_url=self._docs_url, spread=self._spread())
        await send(
            {
                "type": "http.response.start",
                "status": told.status,
                "headers": told.headers,
            }
        )
        await send({"type": "http.response.body", "body": told.body})


async def _send_empty(send: Send, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class _Outward:
    """Sends on, and remembers whether a head has left."""

    def __init__(self, send: Send, scope: Scope, cors: CorsRules | None) -> None:
        self._send = send
        self._scope = scope
        self._cors = cors
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] in _HEADS:
            self.started = True
            headers = _outward(message.get("headers", ()))
            if self._cors:
                headers = self._cors.answer(self._scope, headers)
            message = {**message, "headers": list(headers)}
        await self._send(message)


def _outward(headers: Any) -> Headers:
    kept = [(n, v) for n, v in headers if not n.lower().startswith(STEERING_PREFIX)]
    if not any(name.lower() == b"date" for name, _ in kept):
        kept.append((b"date", formatdate(usegmt=True).encode()))
    return tuple(kept)
