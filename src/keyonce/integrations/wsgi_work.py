# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One execution of a WSGI app under a lease: run, finish, write.

The app's iterable is read to its end whoever listens: when the server stops
early because the client has gone, ``close()`` reads on and records the outcome.
A thread cannot be cancelled: an app that hangs keeps its thread, and at the
``work_limit`` its record goes by the guarantee.
"""

from __future__ import annotations

from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keyonce.core.decide import Replay
from keyonce.core.ending import Free, Keep, Unclear
from keyonce.core.errors import SafeToRetry
from keyonce.core.events import Outcome
from keyonce.engine.finished import Freed, Lost, Parked, Stored, Unrecorded
from keyonce.http import catalogue
from keyonce.http.answer import (
    expires_header,
    failure_answer,
    mark_unprotected,
    mark_unrecorded,
)
from keyonce.http.ending import cut_off, ending, passes_through, raised
from keyonce.http.keep import without_own
from keyonce.http.messages import Response
from keyonce.http.problem import response
from keyonce.http.steer import read_steering
from keyonce.integrations.failure import Failure
from keyonce.integrations.gateway import outcome_of_end
from keyonce.integrations.wsgi_request import give
from keyonce.integrations.wsgi_response import (
    Answer,
    Outgoing,
    ResponseCutOff,
    close_all,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

    from keyonce.core.ending import Ending
    from keyonce.core.model import Lease, Record
    from keyonce.engine.finished import Finished
    from keyonce.http.messages import Body, Headers
    from keyonce.http.problem import Problem
    from keyonce.integrations.gateway import Visit
    from keyonce.integrations.wsgi import IdempotencyMiddleware


class GaveUp(Exception):
    """The lease is gone: the rest of the app's response is not read."""


class Work:
    """The app at one guarded request, and what it sends."""

    def __init__(
        self,
        middleware: IdempotencyMiddleware,
        visit: Visit,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        body: Body,
        gone: list[str],
    ) -> None:
        """Prepare to run the app on *body*.

        *gone* gets the reason, from another thread, when the lease is gone.
        """
        self._middleware = middleware
        self._visit = visit
        self._policy = visit.rule.policy
        self._environ = environ
        self._body = body
        self._dialect = middleware.gateway.dialect
        self._lease: Lease | None = None
        self._gone = gone
        self._result: Any = None
        self._pieces: Iterator[bytes] = iter(())
        self._taking: Iterator[bytes] = iter(())
        self._over = False
        self._error: BaseException | None = None
        # What the work marks on its thread must not stay for the next request.
        self._context = copy_context()
        self.out = Outgoing(
            start_response,
            space=middleware.gateway.space,
            keep_up_to=middleware.keep_up_to(self._policy),
            outward=self._outward,
        )

    @property
    def _gone_for(self) -> str | None:
        return self._gone[0] if self._gone else None

    def answer(self, lease: Lease) -> Iterable[bytes]:
        """Run the app until its response is whole, or too large to be held."""
        self._lease = lease
        self._context.run(self._visit.attend, lease)
        try:
            return self._run()
        except BaseException:
            self._stopped()
            self._close()
            raise

    def _run(self) -> Iterable[bytes]:
        try:
            self._call()
            first = self._next()
        except Exception as error:  # noqa: BLE001 - raised again when all is sent
            return self._raised(error)
        if first is None and not (self.out.streaming or self.out.passing):
            return self._whole()
        return Answer(self._rest(first), self._close)

    def _call(self) -> None:
        give(self._environ, self._body)
        app, start_response = self._middleware.app, self.out.start_response
        self._result = self._context.run(app, self._environ, start_response)
        self._pieces = self._context.run(iter, self._result)

    def _next(self) -> bytes | None:
        """Give the next piece that may go out, or None when the app has ended."""
        while True:
            for piece in self._taking:
                return piece
            if self._gone_for in {"lost", "work-limit"}:
                raise GaveUp
            data: bytes | None = self._context.run(next, self._pieces, None)
            if data is None:
                return None
            self._taking = self.out.take(data)

    def _whole(self) -> Iterable[bytes]:
        """Record a response that was held to its end, and let it go."""
        if self.out.status is None:
            message = "The app ended without starting a response."
            return self._raised(RuntimeError(message))
        self.out.passing = passes_through(self.out.status, self.out.headers)
        finished, end = self._conclude(self.out.status)
        match finished:
            case Stored(record):
                extra = expires_header(record.expires_at)
            case Parked():
                return self._own(self._unclear(500))
            case Lost(record):
                return self._own(self._winners(record))
            case Unrecorded() if isinstance(end, Keep):
                extra = mark_unrecorded(())
            case _:
                extra = ()
        self.out.send_head(early=False, extra=extra)
        return Answer(self.out.body.chunks(), self._close)

    def _rest(self, piece: bytes | None) -> Iterator[bytes]:
        """Give a response that is streamed, its last piece after the record."""
        while piece is not None:
            yield piece
            piece = self._next_or_cut()
        finished, end = self._conclude(self.out.status or 0)
        if not self.out.passing:
            if not _may_end(finished, end):
                raise ResponseCutOff
            yield self.out.last()

    def _next_or_cut(self) -> bytes | None:
        try:
            return self._next()
        except Exception:
            self._cut()
            raise
        except BaseException:
            self._stopped()
            raise

    def _raised(self, error: Exception) -> Iterable[bytes]:
        """Answer for an app that raised, and raise its error when that is sent."""
        if self.out.streaming or self.out.passing:
            self._cut()
            raise error
        self._error = error
        failure = self._failure(error)
        finished = self._finish(failure.ending)
        self._visit.ended(outcome_of_end(finished, 500))
        if failure.problem is not None:
            self._error = None
        return self._own(self._failed(finished, failure))

    def _failure(self, error: Exception) -> Failure:
        if self._gone_for is not None:
            problem = catalogue.handler_failed(freed=True)
            return Failure(Unclear(self._gone_for), problem=problem)
        failure = self._middleware.read_failure(error)
        if failure is not None:
            return failure
        end = raised(self._policy, error, docs_url=self._dialect.docs_url)
        if isinstance(error, SafeToRetry):
            return Failure(end, problem=catalogue.handler_failed(freed=True))
        return Failure(end)

    def _failed(self, finished: Finished, failure: Failure) -> Response:
        answer = failure_answer(failure.ending, dialect=self._dialect)
        match finished:
            case Stored(record):
                extra = expires_header(record.expires_at)
                return replace(answer, headers=answer.headers + extra)
            case Freed():
                freed = failure.problem or catalogue.handler_failed(freed=True)
                return self._told(freed)
            case Parked():
                return self._unclear(failure.status)
            case Lost(record):
                return self._winners(record)
            case Unrecorded():
                return replace(answer, headers=mark_unrecorded(answer.headers))
            case _:
                return answer

    def _conclude(self, status: int) -> tuple[Finished, Ending]:
        """Record the whole response that the app has sent."""
        out = self.out
        with self._middleware.gate(out.body):
            end = ending(
                Response(status, out.headers, out.body.read() if out.whole else b""),
                self._policy,
                size=out.size,
                complete=out.whole,
                steering=read_steering(out.headers),
                store_bound=self._middleware.store_bound,
            )
            finished = self._finish(end)
        passed = Outcome.UNPROTECTED if out.passing else None
        self._visit.ended(passed or outcome_of_end(finished, status))
        return finished, end

    def _cut(self) -> None:
        """End an execution whose response broke off after its head had gone out."""
        free = Free("event-stream")
        self._end(free if self.out.passing else cut_off(self._policy))

    def _stopped(self) -> None:
        """End an execution that its own server stops."""
        self._end(Unclear("stopped"))

    def _end(self, end: Ending) -> None:
        if not self._over:
            finished = self._finish(end)
            self._visit.ended(outcome_of_end(finished, 500))

    def _finish(self, end: Ending) -> Finished:
        self._over = True
        if self._lease is None:
            return Lost(None)
        self._visit.worked()
        return self._middleware.guard.finish(self._lease, end, self._policy)

    def _close(self) -> None:
        """Carry on to the end if the server stopped early, and clean up."""
        try:
            if not self._over:
                self._carry_on()
        finally:
            closing = (self._result, self.out.body, self._body)
            self._context.run(close_all, *closing)
        if self._error is not None:
            raise self._error

    def _carry_on(self) -> None:
        self.out.gone = True
        if self.out.passing:
            self._cut()
            return
        while self._next_or_cut() is not None:
            pass
        self._conclude(self.out.status or 0)

    def _winners(self, record: Record | None) -> Response:
        """Answer with the outcome of whoever took the key from this execution."""
        if (record is None or record.result is None) and self._lease is not None:
            record = self._middleware.guard.winner(
                self._lease, wait_for=self._policy.patience
            )
        if record is not None and record.result is not None:
            return self._visit.answer(Replay(record))
        return self._unclear(500)

    def _own(self, answer: Response) -> Iterable[bytes]:
        self.out.answer_head(answer.status, answer.headers)
        return Answer([answer.body], self._close)

    def _told(self, problem: Problem) -> Response:
        return response(problem, docs_url=self._dialect.docs_url)

    def _unclear(self, status: int) -> Response:
        return self._told(
            catalogue.unclear_end(status, header=self._dialect.key_header)
        )

    def _outward(self, headers: Headers, *, early: bool) -> Headers:
        """Give the headers that leave; *early*: before the record is complete."""
        if self.out.passing:
            return mark_unprotected(headers)
        outward = without_own(headers)
        if not early or self._lease is None:
            return outward
        return outward + expires_header(self._visit.expires_early(self._lease, headers))


def _may_end(finished: Finished, end: Ending) -> bool:
    """Whether the end of a streamed answer may go out."""
    match finished:
        case Stored() | Freed():
            return True
        case Unrecorded():
            return not isinstance(end, Keep)
        case _:
            return False
