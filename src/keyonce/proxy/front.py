# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The sidecar's own resources under its prefix, which is never forwarded."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import StoreError
from keyonce.core.model import Identity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from keyonce.core.protocols import AsyncStore

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

# No caller's identity: no method begins with a dash.
PROBE: Final = Identity("(keyonce)", "- ready", "ready")
READY_WITHIN: Final = 2.0
_READING: Final = frozenset({"GET", "HEAD"})


class Front:
    """Answers health and ready, hands status to *guard*, and all else as well."""

    def __init__(self, guard: App, store: AsyncStore, *, prefix: str) -> None:
        """Keep *prefix* for the sidecar."""
        self._guard = guard
        self._store = store
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP or WebSocket connection."""
        path = self._below(scope)
        if path is None:
            await self._guard(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["method"] not in _READING:
            await answer(scope, send, 405, {"status": "method not allowed"})
        elif path.startswith("/status/"):
            await self._guard(scope, receive, send)
        elif path == "/health":
            await answer(scope, send, 200, {"status": "alive"})
        elif path == "/ready":
            await self._ready(scope, send)
        else:
            await answer(scope, send, 404, {"status": "not found"})

    def _below(self, scope: Scope) -> str | None:
        """Give what follows the prefix, or None for the upstream's paths.

        Looked at as the upstream would read it, percent-escapes decoded and empty
        and dot segments taken out: no spelling of the prefix goes on to it.
        """
        raw: str = scope["raw_path"].decode("ascii")
        if raw.startswith(f"{self._prefix}/"):
            return raw[len(self._prefix) :]
        plain = _plain(scope["path"])
        if plain == self._prefix or plain.startswith(f"{self._prefix}/"):
            return ""
        return None

    async def _ready(self, scope: Scope, send: Send) -> None:
        try:
            await asyncio.wait_for(self._store.find(PROBE), READY_WITHIN)
        except (StoreError, TimeoutError):
            await answer(scope, send, 503, {"status": "store unavailable"})
        else:
            await answer(scope, send, 200, {"status": "ready"})


def _plain(path: str) -> str:
    parts: list[str] = []
    for part in path.replace("\\", "/").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


async def answer(scope: Scope, send: Send, status: int, told: dict[str, str]) -> None:
    """Answer with a small JSON object that nobody caches."""
    body = json.dumps(told).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if status == 405:  # noqa: PLR2004 - Method Not Allowed
        headers.append((b"allow", b"GET, HEAD"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    sent = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": sent})
