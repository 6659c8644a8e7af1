# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The app of the traffic listener: edge, own resources, guard, upstream."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import IdempotencyError
from keyonce.http.operation import Rules
from keyonce.integrations.asgi import IdempotencyMiddleware
from keyonce.integrations.fitness import check_at_start
from keyonce.proxy.authorize import Authorizer
from keyonce.proxy.client import AiohttpConnector
from keyonce.proxy.cors import CorsRules
from keyonce.proxy.edge import Edge
from keyonce.proxy.failures import read_failure
from keyonce.proxy.forwarding import ForwardedKeys
from keyonce.proxy.front import Front
from keyonce.proxy.upstream import UpstreamApp
from keyonce.stores.url import open_async_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    from keyonce.core.events import Observer
    from keyonce.core.protocols import AsyncStore
    from keyonce.http.operation import Rule
    from keyonce.proxy.config import Config

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

# What was cut off is still recorded and answered.
CUTTING_OFF: Final = 1.0

logger = logging.getLogger("keyonce")


class Sidecar:
    """One process's worth of ``keyonce serve``, as an ASGI app with a lifespan.

    ``store`` is open between the lifespan's start and its end, and ``on_open`` is
    called once it is. ``stop_by`` is the instant, on the monotonic clock, at which
    draining ends, once ``stopping`` was called.
    """

    def __init__(self, config: Config, *, observer: Observer | None = None) -> None:
        """Open nothing yet."""
        self._config = config
        self._rules = config.rules
        self._observer = observer
        self._stack = AsyncExitStack()
        self._app: App | None = None
        self._guarded: IdempotencyMiddleware | None = None
        self.store: AsyncStore | None = None
        self.on_open: Callable[[], None] | None = None
        self.stop_by: float | None = None
        self._cut_off: Callable[[], None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)

    def take_rules(self, rules: Iterable[Rule]) -> None:
        """Let *rules* hold from the next request on.

        Raises:
            ConfigurationError: the store cannot keep one of them; nothing changes.
        """
        self._rules = tuple(rules)
        if self._guarded is None:
            return
        gateway = self._guarded.gateway
        before = gateway.rules
        gateway.rules = Rules(self._rules)
        try:
            gateway.check(self._guarded.store)
        except IdempotencyError:
            gateway.rules = before
            raise

    def stopping(self) -> None:
        """Begin to drain: what is still under way in the end is cut off.

        May be called by a signal's handler, and more than once.
        """
        if self.stop_by is None:
            self.stop_by = time.monotonic() + self._config.drain
            if self._cut_off is not None:
                self._cut_off()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.open()
        except (IdempotencyError, OSError) as error:
            await self._stack.aclose()
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def open(self) -> None:
        """Open the store and make every layer."""
        config = self._config
        store_timeout = timedelta(seconds=config.store_timeout)
        store = self.store = open_async_store(config.store, store_timeout=store_timeout)
        self._stack.push_async_callback(store.close)
        upstream = UpstreamApp(self._connector, trusted=config.trusted_proxies)
        self._stack.push_async_callback(upstream.close)
        self._cut_off = _cutter(upstream, config.drain)
        authorizer = Authorizer(config.authorize) if config.authorize else None
        if authorizer:
            self._stack.push_async_callback(authorizer.close)
        forwarded = ForwardedKeys(upstream)
        guarded = self._guarded = IdempotencyMiddleware(
            forwarded,
            store=store,
            scope=config.scope,
            rules=self._rules,
            observer=self._observer,
            dialect=config.dialect,
            store_timeout=store_timeout,
            drain=timedelta(seconds=config.drain),
            authorize_replay=authorizer,
            read_failure=read_failure,
            behind_proxy=True,
        )
        forwarded.gateway = guarded.gateway
        self._stack.push_async_callback(guarded.close)
        await check_at_start(guarded.fitness)
        front = Front(guarded, store, prefix=config.dialect.prefix)
        self._app = Edge(front, cors=self._cors(), docs_url=config.dialect.docs_url)
        if self.on_open is not None:
            self.on_open()

    async def close(self) -> None:
        """Wait for guarded work, then close everything."""
        if self._guarded is not None:
            await self._drain(self._guarded)
        await self._stack.aclose()

    async def _drain(self, guarded: IdempotencyMiddleware) -> None:
        left = self._config.drain
        if self.stop_by is not None:
            left = max(0.0, self.stop_by + CUTTING_OFF - time.monotonic())
        try:
            await asyncio.wait_for(guarded.drain(), left)
        except TimeoutError:
            logger.warning("Guarded work was still under way when draining ended.")

    def _connector(self) -> AiohttpConnector:
        config = self._config
        return AiohttpConnector(config.upstream, timeout=config.upstream_timeout)

    def _cors(self) -> CorsRules | None:
        cors = self._config.cors
        if cors is None:
            return None
        return CorsRules(
            cors.origins, credentials=cors.credentials, dialect=self._config.dialect
        )


def _cutter(upstream: UpstreamApp, left: float) -> Callable[[], None]:
    """Give what ends *upstream*'s exchanges in *left* seconds, from any thread."""
    loop = asyncio.get_running_loop()

    def cut_off_later() -> None:
        at = loop.time() + left
        loop.call_soon_threadsafe(lambda: loop.call_at(at, upstream.cut_off))

    return cut_off_later
