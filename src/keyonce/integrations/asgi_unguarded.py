# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""An ASGI app that nobody guards for now, whose handlers ask for their work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.engine.current import at
from keyonce.engine.unrecorded import unrecorded_async_work

if TYPE_CHECKING:
    from keyonce.core.protocols import AsyncStore
    from keyonce.integrations.asgi_request import ASGIApp, Receive, Scope, Send
    from keyonce.integrations.committing import Terms


class Unguarded:
    """Lets steps, references and downstream keys be, without writing them down."""

    def __init__(self, app: ASGIApp, store: AsyncStore, terms: Terms) -> None:
        """Call *app* for a request under *terms*."""
        self._app = app
        self._store = store
        self._terms = terms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        rule, keep = self._terms.rule, self._terms.keep
        _, place = unrecorded_async_work(self._store, rule.match, rule.policy, keep)
        with at(place):
            await self._app(scope, receive, send)
