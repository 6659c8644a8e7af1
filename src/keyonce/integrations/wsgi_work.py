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
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from keyonce.core.ending import Free, Keep, Park, Unclear
from keyonce.core.errors import SafeToRetry
from keyonce.core.events import Outcome
from keyonce.engine.current import enter, entered
from keyonce.engine.finished import (
    Freed,
    Lost,
    Parked,
    Stored,
    Unrecorded,
    outcome_of_end,
)
from keyonce.http import catalogue
from keyonce.http.answer import expires_header, mark_unprotected, mark_unrecorded
from keyonce.http.ending import SERVER_ERROR, cut_off, ending, passes_through, raised
from keyonce.http.keep import without_own
from keyonce.http.messages import Response
from keyonce.http.steer import read_steering
from keyonce.integrations.committing import exact_end, is_exact, told_status
from keyonce.integrations.failure import Failure
from keyonce.integrations.stepping import changed, failed, stepped, unclear_status
from keyonce.integrations.wsgi_committing import Committing
from keyonce.integrations.wsgi_request import give
from keyonce.integrations.wsgi_response import (
    Answer,
    Outgoing,
    ResponseCutOff,
    close_all,
)
from keyonce.integrations.wsgi_told import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from keyonce.core.ending import Committed, Ending
    from keyonce.core.model import Attempt, Lease
    from keyonce.engine.finished import Finished
    from keyonce.engine.work import Work as WorkHandle
    from keyonce.http.messages import Body, Headers
    from keyonce.integrations.gateway import Visit
    from keyonce.integrations.wsgi import IdempotencyMiddleware


class GaveUp(Exception):
    """The lease is gone: the rest of the app's response is not read."""


class Loss:
    """Hears, from another thread, why the lease is gone; *hears* is told as well."""

    reason: str | None = None
    hears: Callable[[str], object] | None = None

    def __call__(self, reason: str) -> None:
        """Remember the first reason."""
        self.reason = self.reason or reason
        if self.hears is not None:
            self.hears(reason)


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done under *lease*: the app runs on *body*, for *attempt*."""

    attempt: Attempt
    lease: Lease
    body: Body
    gone: Loss


class Work:
    """The app at one guarded request, and what it sends."""

    def __init__(
        self,
        middleware: IdempotencyMiddleware,
        visit: Visit,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        task: Task,
    ) -> None:
        """Prepare to carry *task* out."""
        self._middleware = middleware
        self._guard = middleware.guard
        self._request = task.attempt.fingerprint
        self._work_on: WorkHandle | None = None
        self._terms = middleware.terms(visit.rule, visit.head)
        self._visit = visit
        self._policy = visit.rule.policy
        self._environ = environ
        self._body = task.body
        self._tell = Teller(middleware, visit, task.attempt)
        self._lease = task.lease
        self._gone = task.gone
        self._called = False
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
        return self._gone.reason

    def answer(self) -> Iterable[bytes]:
        """Run the app until its response is whole, or too large to be held.

        Whatever happens, the lease is ended: here, or by what the answer does.
        """
        try:
            self._begin()
            return self._run()
        except BaseException:
            try:
                self._stopped()
            finally:
                self._close()
            raise

    def _begin(self) -> None:
        keep = self._terms.keep
        work = self._guard.work(self._lease, self._request, self._policy, keep=keep)
        self._work_on, self._gone.hears = work, work.gone
        place = self._context.run(entered, self._lease, work)
        self._context.run(enter, place)
        self._context.run(self._visit.attend, self._lease)

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
        app, start_response = self._app(), self.out.start_response
        self._called = True
        self._result = self._context.run(app, self._environ, start_response)
        self._pieces = self._context.run(iter, self._result)

    def _app(self) -> WSGIApplication:
        if self._work_on is None or not is_exact(self._terms.rule):
            return self._middleware.app
        again = partial(give, body=self._body)
        return Committing(self._middleware.app, self._terms, self._work_on, again)

    def _next(self) -> bytes | None:
        """Give the next piece that may go out, or None when the app has ended."""
        while True:
            for piece in self._taking:
                return piece
            if self._in_vain():
                raise GaveUp
            data: bytes | None = self._context.run(next, self._pieces, None)
            if data is None:
                return None
            self._taking = self.out.take(data)

    def _in_vain(self) -> bool:
        """Whether the outcome would be refused, or another execution may begin.

        Where nothing runs again, the real outcome counts after the limit as well.
        """
        if self._gone_for == "work-limit":
            return self._lease.guarantee.runs_again
        return self._gone_for == "lost"

    def _whole(self) -> Iterable[bytes]:
        """Record a response that was held to its end, and let it go."""
        if self.out.status is None:
            message = "The app ended without starting a response."
            return self._raised(RuntimeError(message))
        self.out.passing = passes_through(self.out.status, self.out.headers)
        finished, end, failure = self._conclude(self.out.status)
        if failure is not None:
            return self._own(self._tell.failed(self._lease, finished, failure))
        match finished:
            case Stored(record):
                extra = expires_header(record.expires_at)
            case Parked():
                return self._own(self._tell.unclear(unclear_status(self._work_on)))
            case Lost(record):
                return self._own(self._tell.winners(self._lease, record))
            case Unrecorded() if isinstance(end, Unclear | Park):
                return self._own(self._tell.unclear_and_unrecorded())
            case Unrecorded() if not self.out.passing:
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
        finished, end, failure = self._conclude(self.out.status or 0)
        if not self.out.passing:
            if failure is not None or not _may_end(finished, end):
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
        failure = failed(self._failure(error), self._work_on, error)
        finished = self._finish(failure.ending)
        self._visit.ended(outcome_of_end(finished, failed=True))
        if failure.problem is not None:
            self._error = None
        return self._own(self._tell.failed(self._lease, finished, failure))

    def _failure(self, error: Exception) -> Failure:
        if isinstance(error, GaveUp):
            problem = catalogue.handler_failed(freed=True)
            return Failure(Unclear(self._gone_for or "lost"), problem=problem)
        failure = self._middleware.read_failure(error)
        failure = failure or self._visit.transaction_failed(error)
        if failure is not None:
            return failure
        end = raised(
            self._policy, error, docs_url=self._middleware.gateway.dialect.docs_url
        )
        if isinstance(error, SafeToRetry):
            return Failure(end, problem=catalogue.handler_failed(freed=True))
        return Failure(end)

    def _conclude(self, status: int) -> tuple[Finished, Ending, Failure | None]:
        """Record the whole response that the app has sent."""
        try:
            with self._middleware.gate(self.out.body):
                end, failure = self._end_of(status)
                finished = self._finish(end)
        except BaseException:
            self._stopped()
            raise
        passed = Outcome.UNPROTECTED if self.out.passing else None
        self._visit.ended(
            passed
            or outcome_of_end(
                finished, failed=told_status(finished, status) >= SERVER_ERROR
            )
        )
        return finished, end, failure

    def _end_of(self, status: int) -> tuple[Ending, Failure | None]:
        """Say how the response ends the work, and what its steps object to."""
        work, dialect = self._work_on, self._middleware.gateway.dialect
        end = stepped(self._ending(status), work, read_steering(self.out.headers))
        failure = changed(end, work, self._policy, dialect.docs_url)
        return (end if failure is None else failure.ending), failure

    def _ending(self, status: int) -> Ending:
        out, copy = self.out, self.out.copy()
        return ending(
            Response(status, out.headers, copy or b""),
            self._policy,
            size=out.size,
            complete=copy is not None,
            steering=read_steering(out.headers),
            store_bound=self._middleware.store_bound,
        )

    def _cut(self) -> None:
        """End an execution whose response broke off after its head had gone out."""
        free = Free("event-stream")
        self._end(free if self.out.passing else cut_off(self._policy))

    def _stopped(self) -> None:
        """End an execution that something stops from outside, or in this layer."""
        self._end(Unclear("stopped") if self._called else Free("never-begun"))

    def _end(self, end: Ending) -> None:
        if not self._over:
            finished = self._finish(failed(Failure(end), self._work_on, None).ending)
            self._visit.ended(outcome_of_end(finished, failed=True))

    def _finish(self, meant: Ending | Committed) -> Finished:
        end = exact_end(meant, self._work_on, self._policy)
        self._over = True
        self._visit.worked()
        try:
            finished = self._guard.finish(self._lease, end, self._policy)
            self._visit.recorded(finished)
        except BaseException:
            self._visit.ended(Outcome.UNRECORDED)
            raise
        return finished

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

    def _own(self, answer: Response) -> Iterable[bytes]:
        self.out.answer_head(answer.status, answer.headers)
        return Answer([answer.body], self._close)

    def _outward(self, headers: Headers, *, early: bool) -> Headers:
        """Give the headers that leave; *early*: before the record is complete."""
        if self.out.passing:
            return mark_unprotected(headers)
        outward = without_own(headers)
        if not early or not self._to_be_kept(headers):
            return outward
        return outward + expires_header(self._visit.expires_early(self._lease, headers))

    def _to_be_kept(self, headers: Headers) -> bool:
        """Whether a response with this head is an outcome, once it is whole."""
        head = Response(self.out.status or 0, headers)
        end = ending(head, self._policy, steering=read_steering(headers))
        return isinstance(end, Keep)


def _may_end(finished: Finished, _meant: Ending) -> bool:
    """Whether the end of a streamed answer may go out, whatever it was meant to be.

    Its head is gone, so that nothing can mark it any more as unrecorded.
    """
    return isinstance(finished, Stored | Freed)
