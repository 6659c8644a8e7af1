# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""An ASGI app under exactly-once: its response is held until effect and answer commit.

It is an ASGI app itself, called by the gateway in the place of the one it guards.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import StoreError
from keyonce.engine.aio_transacting import uninterrupted
from keyonce.engine.current import at
from keyonce.engine.tokens import jittered
from keyonce.engine.transaction import (
    RUNS,
    CommitUnclear,
    Conflict,
    Stage,
    commit_unclear,
    not_ours,
    pause_after,
)
from keyonce.engine.unrecorded import unrecorded_async_work
from keyonce.http.ending import passes_through
from keyonce.integrations.asgi_response import write_response
from keyonce.integrations.committing import Held, Undone, refusal_of
from keyonce.integrations.rebuilding import NotBuilt, async_with_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Record
    from keyonce.core.protocols import AsyncStore
    from keyonce.engine.aio_work import AsyncWork
    from keyonce.integrations.asgi_request import (
        ASGIApp,
        Message,
        Receive,
        Scope,
        Send,
    )
    from keyonce.integrations.committing import Terms

log: Final = logging.getLogger("keyonce")


class Committing:
    """The app of one request, whose answer leaves once it is committed.

    Where the transaction is the gateway's, a conflict with another one runs the app
    anew: *again* has the request given from its start.
    """

    def __init__(
        self,
        app: ASGIApp,
        terms: Terms,
        work: AsyncWork,
        again: Callable[[], None] | None = None,
    ) -> None:
        """Call *app*, at *work*, under *terms*."""
        self._app = app
        self._terms = terms
        self._work = work
        self._again = again

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        runs = RUNS if self._terms.rule.connection and self._again else 1
        for number in range(1, runs + 1):
            run = Run(self._terms, self._work, send)
            try:
                await run.call(self._app, {**scope}, receive)
            except Conflict:
                if number == runs or self._again is None:
                    raise
                await asyncio.sleep(jittered(pause_after(number - 1)))
                self._again()
            else:
                return


class Unrecorded:
    """The app of requests that nobody guards, which commits all the same."""

    def __init__(self, app: ASGIApp, store: AsyncStore, terms: Terms) -> None:
        """Call *app*, whose transactions are as *store* takes them."""
        self._app = app
        self._store = store
        self._terms = terms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        rule, keep = self._terms.rule, self._terms.keep
        work, place = unrecorded_async_work(self._store, rule.match, rule.policy, keep)
        with at(place):
            await Committing(self._app, self._terms, work)(scope, receive, send)


class Run:
    """One run of the app, in one transaction."""

    _room: AsyncExitStack | None = None
    _failed: BaseException | None = None
    _over = False
    _through = False
    _rendered = False  # what is committed is the response itself

    def __init__(self, terms: Terms, work: AsyncWork, send: Send) -> None:
        """Send through *send*, once."""
        self._terms = terms
        self._work = work
        self._send = send
        self._held = Held(terms)

    async def call(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        """Run *app*, and raise what it or its transaction raised."""
        try:
            await self._enter()
            await app(scope, receive, self._take)
            self._check_ended()
        except BaseException as error:
            await self._rolled_back(self._failed or error)
            await uninterrupted(self._broken())
            if self._failed is None:
                raise
        finally:
            self._held.close()
        if self._failed is not None:
            raise self._failed

    def _check_ended(self) -> None:
        if not (self._over or self._through):
            message = "The app ended before its response did."
            raise RuntimeError(message)

    async def _enter(self) -> None:
        """Open the gateway's own transaction, where the rule has a connection."""
        if self._terms.rule.connection is None:
            return
        self._room = AsyncExitStack()
        made = self._terms.rule.connection()
        connection = await self._room.enter_async_context(made)
        transaction = self._work.transaction(connection)
        await self._room.enter_async_context(transaction)
        if not transaction.ours:
            raise not_ours(self._terms.rule.match)

    async def _leave(self, error: BaseException | None) -> None:
        """End the gateway's own transaction; it commits unless there is an *error*.

        In the app's own task: what the author has put around a connection may only be
        left where it was entered. A commit is carried through by itself.

        Raises:
            SafeToRetry: others got in the way; all is undone.
        """
        room, self._room = self._room, None
        if room is not None:
            trace = None if error is None else error.__traceback__
            kind = None if error is None else type(error)
            await room.__aexit__(kind, error, trace)

    async def _take(self, message: Message) -> None:
        """Hold what the app sends; the ``send`` that it gets."""
        if self._over:
            return
        if self._through or self._passes(message):
            await self._send(message)
            return
        held, end = self._held, False
        held.heed(self._work)
        try:
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                headers = tuple((bytes(name), bytes(value)) for name, value in given)
                held.start(message["status"], headers)
            elif message["type"] == "http.response.body":
                held.take(message.get("body", b""))
                end = not message.get("more_body", False)
        except Exception as error:
            self._failed = error  # whatever the app makes of it
            raise
        if end:
            self._over = True
            await self._end()

    def _passes(self, message: Message) -> bool:
        """Whether an answer has no end, and nobody guards it: it goes as it comes."""
        if self._terms.recorded or message["type"] != "http.response.start":
            return False
        headers = tuple(message.get("headers", ()))
        begun = self._work.ledger.stage is not Stage.NONE
        self._through = not begun and passes_through(message["status"], headers)
        return self._through

    async def _end(self) -> None:
        """Commit what the whole response is the outcome of, and let the answer go."""
        stopped: asyncio.CancelledError | None = None
        try:
            await self._concluded()
        except asyncio.CancelledError as error:
            self._failed = stopped = error
        except BaseException as error:  # noqa: BLE001 - raised, unless it is committed
            self._failed = error
        await uninterrupted(self._let_go())
        if stopped is not None:
            raise stopped

    async def _let_go(self) -> None:
        """Let the answer go, of what is committed or of what meant to have failed."""
        record = await self._committed() or self._owned()
        if record is not None:
            await self._answer(record)
            if self._failed is not None:
                log.warning("After a commit: %s", self._failed, exc_info=self._failed)
                self._failed = None
            return
        refusal = self._failed or refusal_of(self._held, self._work, self._terms)
        if refusal is not None:
            self._failed = refusal
            raise refusal
        await write_response(self._send, self._held.answer())

    async def _concluded(self) -> None:
        if self._room is None:
            return
        outcome = self._held.outcome()
        try:
            if outcome is not None and self._work.ledger.stage is Stage.OPEN:
                await self._work.complete(outcome)
                self._rendered = True
        except BaseException as error:
            await self._leave(error)
            raise
        await self._leave(None if outcome is not None else Undone())

    async def _rolled_back(self, error: BaseException) -> None:
        """Roll back what is not committed."""
        try:
            await self._leave(error)
        except BaseException as instead:  # noqa: BLE001 - raised in the place of that
            self._failed = instead if instead is not error else self._failed

    async def _broken(self) -> None:
        """Let the stored answer go, where the work is committed after all."""
        if self._over:
            return
        self._over = True
        record = await self._committed()
        if record is not None:
            await self._answer(record)

    async def _committed(self) -> Record | None:
        """Give the record that is committed, as far as can be known."""
        if isinstance(self._failed, CommitUnclear):
            return None
        try:
            done = await self._work.settled()
        except StoreError as error:
            self._failed = commit_unclear()
            self._failed.__cause__ = error
            return None
        return None if done is None else done.record

    def _owned(self) -> Record | None:
        """Give the outcome that its transaction's owner commits, where none records."""
        ledger = self._work.ledger
        done = ledger.stage is Stage.COMPLETED and self._failed is None
        return ledger.record if done and not self._terms.recorded else None

    async def _answer(self, record: Record) -> None:
        terms = self._terms
        if self._rendered:  # with the headers that are not for a retry
            await write_response(self._send, self._held.answer())
            return
        try:
            answer = terms.stored(await async_with_answer(record, terms.rule))
        except NotBuilt:
            answer = terms.not_built()
        await write_response(self._send, answer)
