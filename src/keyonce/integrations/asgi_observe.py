# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Look at traffic without touching it: the stages observe and validate.

The request runs as if nobody looked. What enforcing would have said is found out
beside it, on a shadow of the key's record, and told as an event.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from keyonce.core.decide import Proceed
from keyonce.core.errors import IdempotencyError
from keyonce.core.events import Outcome
from keyonce.core.outcomes import outcome_of
from keyonce.integrations.shadow import (
    shadow_end,
    shadow_of,
    shadow_outcome,
    shadow_policy,
)
from keyonce.integrations.spool import SpillFull, Spool

if TYPE_CHECKING:
    from keyonce.core.model import Identity
    from keyonce.integrations.asgi import IdempotencyMiddleware
    from keyonce.integrations.asgi_request import Message, Receive, Scope, Send
    from keyonce.integrations.gateway import Visit


class Observation:
    """One request that runs unguarded while its key is looked at."""

    def __init__(self, middleware: IdempotencyMiddleware, visit: Visit) -> None:
        """Look at *visit*."""
        self._middleware = middleware
        self._visit = visit
        self._copy: Spool | None = Spool(middleware.gateway.space)
        self._looking: asyncio.Future[None] | None = None
        self._answered: asyncio.Future[int] | None = None

    async def run(
        self, identity: Identity, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Run the app on the untouched request."""
        self._answered = asyncio.get_running_loop().create_future()

        async def copying() -> Message:
            message = await receive()
            self._saw(message, identity)
            return message

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(message["status"])
            await send(message)

        try:
            app = self._middleware.unguarded(self._visit.rule, self._visit.head)
            await app(scope, copying, noting)
        finally:
            self._note(500)
            if self._looking is None:
                self._forget()
                self._visit.ended(Outcome.OBSERVED)

    def _note(self, status: int) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(status)

    def _saw(self, message: Message, identity: Identity) -> None:
        if message["type"] != "http.request" or self._looking is not None:
            return
        body = message.get("body", b"")
        limit = self._visit.rule.policy.max_request
        if self._copy is not None and self._copy.size + len(body) > limit:
            self._visit.would = Outcome.TOO_LARGE
            self._forget()
        if self._copy is None:
            return
        try:
            self._copy.write(body)
        except (OSError, SpillFull):
            self._forget()
            return
        if not message.get("more_body", False):
            self._looking = self._middleware.detach(self._look(identity, self._copy))

    async def _look(self, identity: Identity, body: Spool) -> None:
        try:
            self._visit.would = await self._ask(identity, body)
        except IdempotencyError:
            self._visit.would = Outcome.STORE_UNAVAILABLE
        finally:
            self._forget()
            self._visit.ended(Outcome.OBSERVED)

    async def _ask(self, identity: Identity, body: Spool) -> Outcome:
        guard, policy = self._middleware.guard, self._visit.rule.policy
        shadow = shadow_of(identity)
        if body.spilled:  # hashing a large body must not stop the loop
            attempt = await asyncio.to_thread(self._visit.attempt, shadow, body)
        else:
            attempt = self._visit.attempt(shadow, body)
        decision = await guard.begin(attempt, shadow_policy(policy))
        if not isinstance(decision, Proceed):
            self._visit.met(decision)
            return shadow_outcome(outcome_of(decision))
        status = 500 if self._answered is None else await self._answered
        end, would = shadow_end(status)
        await guard.finish(decision.lease, end, policy)
        return would

    def _forget(self) -> None:
        if self._copy is not None:
            self._copy.close()
            self._copy = None
