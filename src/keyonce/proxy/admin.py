# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The admin listener: metrics, health, the published policy. Never public."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn

from keyonce.core.errors import IdempotencyError
from keyonce.http.openapi import openapi
from keyonce.http.publish import markdown
from keyonce.proxy.front import PROBE
from keyonce.proxy.strict import StrictProtocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, MutableMapping

    from keyonce.core.model import StoreStats
    from keyonce.core.protocols import Store
    from keyonce.http.operation import Rule
    from keyonce.proxy.config import Config

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

    Page = tuple[int, str, bytes]


@dataclass(slots=True)
class Live:
    """What the admin listener shows, as it is now. Set by whoever serves."""

    config: Config
    rules: tuple[Rule, ...]
    store: Store | None = None
    metrics: Callable[[str], tuple[bytes, str]] | None = None

    def stats(self) -> StoreStats:
        """Count what is stored.

        Raises:
            StoreError: the store is not open, or does not answer.
        """
        if self.store is None:
            raise IdempotencyError("The store is not open yet.")
        return self.store.stats()


class AdminApp:
    """Four pages. They are rendered in line: the listener has a thread of its own."""

    def __init__(self, live: Live) -> None:
        """Show *live*."""
        self._live = live
        self._pages: dict[str, Callable[[Scope], Page]] = {
            "/metrics": self._metrics,
            "/healthz": self._healthy,
            "/readyz": self._ready,
            "/policy": self._policy,
            "/policy.json": self._policy_json,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        del receive
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        status, media_type, body = self._page(scope)
        headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send(
            {"type": "http.response.start", "status": status, "headers": headers}
        )
        await send({"type": "http.response.body", "body": body})

    def _page(self, scope: Scope) -> Page:
        page = self._pages.get(scope["path"])
        if page is None:
            return 404, "text/plain", "\n".join(("There are:", *self._pages)).encode()
        if scope["method"] not in {"GET", "HEAD"}:
            return 405, "text/plain", b"Only GET and HEAD."
        return page(scope)

    def _metrics(self, scope: Scope) -> Page:
        if self._live.metrics is None:
            return 404, "text/plain", b"pip install 'keyonce[prometheus]'"
        accept = b",".join(v for n, v in scope["headers"] if n == b"accept")
        body, media_type = self._live.metrics(accept.decode("latin-1"))
        return 200, media_type, body

    def _healthy(self, _scope: Scope) -> Page:
        return 200, "application/json", b'{"status": "alive"}'

    def _ready(self, _scope: Scope) -> Page:
        try:
            if self._live.store is None:
                return 503, "application/json", b'{"status": "starting"}'
            self._live.store.find(PROBE)
        except IdempotencyError:
            return 503, "application/json", b'{"status": "store unavailable"}'
        return 200, "application/json", b'{"status": "ready"}'

    def _policy(self, _scope: Scope) -> Page:
        config = self._live.config
        page = markdown(self._live.rules, config.scope, dialect=config.dialect)
        return 200, "text/markdown; charset=utf-8", page.encode()

    def _policy_json(self, _scope: Scope) -> Page:
        fragment = openapi(self._live.rules, dialect=self._live.config.dialect)
        return 200, "application/json", json.dumps(fragment, indent=2).encode()


class AdminListener:
    """Serves the admin app on a thread of its own, until it is closed."""

    def __init__(self, live: Live, bound: socket.socket) -> None:
        """Begin to serve on *bound*."""
        self._bound = bound
        self._server = uvicorn.Server(
            uvicorn.Config(
                AdminApp(live),
                http=StrictProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([bound],), name="keyonce-admin", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join(timeout=5)
        self._bound.close()
