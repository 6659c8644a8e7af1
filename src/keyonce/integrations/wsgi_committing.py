# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A WSGI app under exactly-once: its response is held until effect and answer commit.

It is a WSGI app itself, called by the gateway in the place of the one it guards.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import StoreError
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
from keyonce.engine.unrecorded import unrecorded_work
from keyonce.http.ending import passes_through
from keyonce.integrations.committing import Held, Undone, refusal_of
from keyonce.integrations.rebuilding import NotBuilt, with_answer
from keyonce.integrations.wsgi_response import (
    Answer,
    close_all,
    decoded,
    encoded,
    status_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from keyonce.core.model import Record
    from keyonce.core.protocols import Store
    from keyonce.engine.work import Work
    from keyonce.http.messages import Response
    from keyonce.integrations.committing import Terms
    from keyonce.integrations.wsgi_response import ExcInfo, Write

log: Final = logging.getLogger("keyonce")


class Committing:
    """The app of one request, whose answer leaves once it is committed.

    Where the transaction is the gateway's, a conflict with another one runs the app
    anew: *again* has the request given from its start.
    """

    def __init__(
        self,
        app: WSGIApplication,
        terms: Terms,
        work: Work,
        again: Callable[[WSGIEnvironment], None] | None = None,
    ) -> None:
        """Call *app*, at *work*, under *terms*."""
        self._app = app
        self._terms = terms
        self._work = work
        self._again = again

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer one request."""
        runs = RUNS if self._terms.rule.connection and self._again else 1
        for number in range(1, runs):
            run = Run(self._terms, self._work, start_response)
            try:
                return run.call(self._app, {**environ})
            except Conflict:
                time.sleep(jittered(pause_after(number - 1)))
                if self._again is not None:
                    self._again(environ)
        run = Run(self._terms, self._work, start_response)
        return run.call(self._app, environ)


class Unrecorded:
    """The app of requests that nobody guards, which commits all the same."""

    def __init__(self, app: WSGIApplication, store: Store, terms: Terms) -> None:
        """Call *app*, whose transactions are as *store* takes them."""
        self._app = app
        self._store = store
        self._terms = terms

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer one request."""
        rule, keep = self._terms.rule, self._terms.keep
        work, place = unrecorded_work(self._store, rule.match, rule.policy, keep)
        with at(place):
            return Committing(self._app, self._terms, work)(environ, start_response)


class Run:
    """One run of the app, in one transaction."""

    _room: ExitStack | None = None
    _failed: BaseException | None = None
    _result: Any = ()
    _rendered = False  # what is committed is the response itself

    def __init__(self, terms: Terms, work: Work, start_response: StartResponse) -> None:
        """Answer through *start_response*, once."""
        self._terms = terms
        self._work = work
        self._server = start_response
        self._held = Held(terms)

    def call(self, app: WSGIApplication, environ: WSGIEnvironment) -> Iterable[bytes]:
        """Run *app* to its end and give the answer, or raise what it raised."""
        try:
            self._enter()
            self._result = app(environ, self._start_response)
            if self._passes():
                return self._through()
            for data in self._result:
                self._take(data)
            return self._ended()
        except BaseException as error:
            answer = self._broken(self._failed or error)
            if answer is None:
                self._close()
                if self._failed is None:
                    raise
                raise self._failed from None
            self._failed = self._failed or error
            return self._given(answer)

    def _enter(self) -> None:
        """Open the gateway's own transaction, where the rule has a connection."""
        if self._terms.rule.connection is None:
            return
        self._room = ExitStack()
        connection = self._room.enter_context(self._terms.rule.connection())
        transaction = self._work.transaction(connection)
        self._room.enter_context(transaction)
        if not transaction.ours:
            raise not_ours(self._terms.rule.match)

    def _leave(self, error: BaseException | None) -> None:
        """End the gateway's own transaction; it commits unless there is an *error*.

        Raises:
            SafeToRetry: others got in the way; all is undone.
        """
        room, self._room = self._room, None
        if room is not None:
            trace = None if error is None else error.__traceback__
            room.__exit__(None if error is None else type(error), error, trace)

    def _start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: ExcInfo | None = None,
        /,
    ) -> Write:
        """Take the head; the ``start_response`` that the app gets."""
        if exc_info is not None:
            try:
                if self._held.size and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._held.status is not None:
            message = "The app started its response twice."
            raise AssertionError(message)
        self._held.heed(self._work)
        try:
            self._held.start(int(status[:3]), encoded(headers))
        except Exception as error:
            self._failed = error  # whatever the app makes of it
            raise
        return self._take

    def _take(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            message = f"A WSGI app gives bytes, not {type(data).__name__}."
            raise TypeError(message)
        self._held.heed(self._work)
        try:
            self._held.take(data)
        except Exception as error:
            self._failed = error
            raise

    def _passes(self) -> bool:
        """Whether an answer has no end, and nobody guards it: it goes as it comes."""
        held, begun = self._held, self._work.ledger.stage is not Stage.NONE
        if self._terms.recorded or begun or held.status is None:
            return False
        return passes_through(held.status, held.headers)

    def _through(self) -> Iterable[bytes]:
        held = self._held
        self._server(status_line(held.status or 0), decoded(held.headers))
        written, result = held.answer().body, self._result
        held.close()

        def pieces() -> Iterable[bytes]:
            if written:
                yield written
            yield from result

        return Answer(pieces(), lambda: close_all(result))

    def _ended(self) -> Iterable[bytes]:
        """Commit what the whole response is the outcome of, and give the answer."""
        if self._held.status is None and self._work.ledger.stage is not Stage.COMMITTED:
            message = "The app ended without starting a response."
            raise RuntimeError(message)
        try:
            self._concluded()
        except BaseException as error:  # noqa: BLE001 - raised, unless it is committed
            self._failed = error
        record = self._committed() or self._owned()
        if record is not None:
            return self._given(self._answer(record))
        refusal = self._failed or refusal_of(self._held, self._work, self._terms)
        if refusal is not None:
            self._failed = refusal
            raise refusal
        return self._given(self._held.answer())

    def _concluded(self) -> None:
        if self._room is None:
            return
        outcome = self._held.outcome()
        try:
            if outcome is not None and self._work.ledger.stage is Stage.OPEN:
                self._work.complete(outcome)
                self._rendered = True
        except BaseException as error:
            self._leave(error)
            raise
        self._leave(None if outcome is not None else Undone())

    def _broken(self, error: BaseException) -> Response | None:
        """Roll back what is not committed; else give the stored answer."""
        try:
            self._leave(error)
        except BaseException as instead:  # noqa: BLE001 - raised in the place of that
            self._failed = instead if instead is not error else self._failed
        record = self._committed()
        return None if record is None else self._answer(record)

    def _committed(self) -> Record | None:
        """Give the record that is committed, as far as can be known."""
        if isinstance(self._failed, CommitUnclear):
            return None
        try:
            done = self._work.settled()
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

    def _answer(self, record: Record) -> Response:
        terms = self._terms
        if self._rendered:  # with the headers that are not for a retry
            return self._held.answer()
        try:
            return terms.stored(with_answer(record, terms.rule))
        except NotBuilt:
            return terms.not_built()

    def _given(self, answer: Response) -> Iterable[bytes]:
        self._held.close()
        self._server(status_line(answer.status), decoded(answer.headers))
        return Answer([answer.body], self._close_and_tell)

    def _close_and_tell(self) -> None:
        """Close what the app made, then raise what it raised after the commit."""
        self._close()
        if self._failed is not None:
            raise self._failed

    def _close(self) -> None:
        close_all(self._result, self._held)
