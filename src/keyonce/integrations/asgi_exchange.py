# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One guarded request under ASGI: begin, run the app, finish, write."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from keyonce.core.decide import Proceed, Replay
from keyonce.core.ending import Free, Keep, Park, Unclear
from keyonce.core.errors import (
    ConfigurationError,
    RecordUnreadable,
    SafeToRetry,
    StoreUnavailable,
)
from keyonce.core.events import Outcome
from keyonce.core.policy import OnStoreDown
from keyonce.engine.current import enter, entered
from keyonce.engine.finished import (
    Freed,
    Lost,
    Parked,
    Stored,
    outcome_of_end,
)
from keyonce.http import catalogue
from keyonce.http.answer import (
    expires_header,
    mark_unprotected,
    mark_unrecorded,
)
from keyonce.http.ending import SERVER_ERROR, cut_off, ending, raised
from keyonce.http.keep import without_own
from keyonce.http.messages import Response
from keyonce.http.steer import read_steering
from keyonce.integrations.asgi_committing import Committing
from keyonce.integrations.asgi_request import Incoming, Reception
from keyonce.integrations.asgi_response import (
    CutOff,
    Instead,
    LetGo,
    Outgoing,
    write_response,
)
from keyonce.integrations.asgi_told import AsyncTeller, unrecorded
from keyonce.integrations.committing import (
    exact_end,
    is_exact,
    told_status,
)
from keyonce.integrations.failure import Failure
from keyonce.integrations.gateway import patience
from keyonce.integrations.spool import SPILL_AT, SpillFull, Spool
from keyonce.integrations.stepping import changed, failed, stepped, unclear_status

if TYPE_CHECKING:
    from keyonce.core.ending import Committed, Ending
    from keyonce.core.model import Attempt, Lease, Record
    from keyonce.core.outcomes import Answerable
    from keyonce.engine.aio_work import AsyncWork
    from keyonce.engine.finished import Finished
    from keyonce.http.messages import Body, Headers
    from keyonce.http.problem import Problem
    from keyonce.integrations.asgi import AuthorizeReplay, IdempotencyMiddleware
    from keyonce.integrations.asgi_request import ASGIApp, Receive, Scope, Send
    from keyonce.integrations.asgi_response import Conclusion, Sent
    from keyonce.integrations.committing import Terms
    from keyonce.integrations.gateway import Visit


_BROKEN: Final = frozenset({502, 504})


class Exchange:
    """The work on one guarded request, in a task that outlives the client."""

    _lease: Lease | None = None
    _work_on: AsyncWork | None = None
    _running: asyncio.Task[None] | None = None
    _gone_for: str | None = None
    _attempt: Attempt | None = None
    _terms: Terms | None = None
    _called = False
    _finishing = False
    _out: Outgoing | None = None
    _reception: Reception | None = None
    _leaving: asyncio.Task[None] | None = None
    _waiting: asyncio.Task[None] | None = None
    _left = False

    def __init__(
        self,
        middleware: IdempotencyMiddleware,
        visit: Visit,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Work for *visit*, sending through *send*."""
        self._middleware = middleware
        self._gateway = middleware.gateway
        self._guard = middleware.guard
        self._visit = visit
        self._policy = visit.rule.policy
        self._tell = AsyncTeller(middleware, visit)
        self._scope = scope
        self._receive = receive
        self._send = send

    def client_gone(self) -> bool:
        """Stop sending: nobody is there. Say whether the work need not go on."""
        self.out.gone = True
        return self.out.passing or self.out.unprotected

    def cancelled(self) -> None:
        """Hear that the server has cancelled the request."""
        if self.client_gone() and self._running is not None:
            self._running.cancel()

    @property
    def out(self) -> Outgoing:
        """The way to the client."""
        if self._out is None:
            self._out = Outgoing(
                self._send,
                self._conclude,
                space=self._gateway.space,
                keep_up_to=self._middleware.keep_up_to(self._policy),
                outward=self._outward,
                unbroken=self._middleware.immediate,
            )
        return self._out

    async def settled(self, attempt: Attempt) -> bool:
        """Answer at once where the work is done already; say whether it is."""
        try:
            decision = self._guard.glance(attempt)
        except RecordUnreadable as error:
            await self._unreadable(error)
            return True
        except StoreUnavailable:
            return False
        if decision is None or isinstance(decision, Proceed):
            return False
        await self._answer(decision)
        return True

    async def guarded(self, attempt: Attempt, body: Body) -> None:
        """Answer a request with a good key, running the app at most once."""
        try:
            await self._middleware.fitness.check()
            decision = await self._guard.begin(
                attempt,
                self._policy,
                wait_for=patience(self._policy),
                on_wait=self._on_wait,
                on_gone=self._on_gone,
            )
            self._stay()
        except asyncio.CancelledError:
            if not self._left or self._waiting is None:
                raise
            self._waiting.uncancel()
            self._visit.ended(Outcome.GONE)
        except StoreUnavailable as error:
            self._visit.failed(error)
            await self._without_store(body)
        except RecordUnreadable as error:
            await self._unreadable(error)
        except ConfigurationError as error:
            self._visit.failed(error)
            self._middleware.fitness.refused(error)
            problem = catalogue.store_unavailable()
            await self._refuse(problem, Outcome.STORE_UNAVAILABLE)
        else:
            if isinstance(decision, Proceed):
                self._attempt = attempt
                await self._execute(decision.lease, attempt, body)
            else:
                await self._answer(decision)
        finally:
            body.close()
            self._visit.ended(Outcome.UNCLEAR)  # told already, unless all else failed
            if self._out is not None:
                self._out.close()
                self._out = None
            self._stay()
            if self._reception is not None:
                self._reception.close()

    def _on_wait(self) -> None:
        """Give up the wait for another's end when the client goes."""
        reception = self._receive = self._reception = Reception(self._receive)
        self._waiting = asyncio.current_task()
        self._leaving = asyncio.ensure_future(self._leave(reception))

    async def _leave(self, reception: Reception) -> None:
        with suppress(Exception):  # a server that cannot tell tells nothing
            await reception.gone()
            self._left = True
        if self._left and self._waiting is not None:
            self._waiting.cancel()

    def _stay(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    async def _unreadable(self, error: RecordUnreadable) -> None:
        self._visit.failed(error)
        problem = catalogue.record_corrupt(header=self._header)
        await self._refuse(problem, Outcome.UNREADABLE)

    @property
    def _header(self) -> str:
        return self._gateway.dialect.key_header

    async def _execute(self, lease: Lease, attempt: Attempt, body: Body) -> None:
        """Do the work; whatever goes wrong, the lease gets an end."""
        self._lease = lease
        try:
            terms = self._terms = self._middleware.terms(
                self._visit.rule, self._visit.head
            )
            work = self._work_on = self._guard.work(
                lease, attempt.fingerprint, self._policy, keep=terms.keep
            )
            enter(entered(lease, work))
            await self._work(lease, body)
        finally:
            if not self._finishing:
                never = Free("never-begun")
                end = Unclear("stopped") if self._called else never
                failure = failed(Failure(end), self._work_on, None)
                await self._finish_unbroken(failure.ending)

    async def _work(self, lease: Lease, body: Body) -> None:
        self._visit.attend(lease)
        out = self.out
        error = await self._run(body, out)
        if out.tail is not None:
            await out.tail
        if not out.over:
            error = await self._unfinished(error)
        if error is not None:
            raise error

    async def _run(self, body: Body, out: Outgoing) -> BaseException | None:
        incoming = Incoming(body, self._receive, self.client_gone)
        # Extensions would let the app answer past us; it is offered none.
        scope = {**self._scope, "extensions": {}}
        self._running = asyncio.current_task()
        self._called = True
        try:
            await self._app(incoming)(scope, incoming, out)
        except asyncio.CancelledError as cancelled:
            # Whoever cancelled it: the work has begun and its record needs an end.
            if self._gone_for is not None and self._running is not None:
                self._running.uncancel()
            return cancelled
        except Exception as error:  # noqa: BLE001 - raised again after the record
            return error
        finally:
            self._running = None
            incoming.over()
        return None

    def _app(self, incoming: Incoming) -> ASGIApp:
        app, work, terms = self._middleware.app, self._work_on, self._terms
        if work is None or terms is None:
            return self._middleware.unguarded(self._visit.rule, self._visit.head)
        if not is_exact(terms.rule):
            return app
        return Committing(app, terms, work, incoming.again)

    def _on_gone(self, reason: str) -> None:
        self._gone_for = reason
        if self._work_on is not None:
            self._work_on.gone(reason)
        if self._running is not None and reason != "parked":
            self._running.cancel()

    async def _unfinished(self, error: BaseException | None) -> BaseException | None:
        """End an execution whose response never came to its end."""
        if self.out.streaming or self.out.passing:
            end = Free("event-stream") if self.out.passing else cut_off(self._policy)
            failure = failed(Failure(end), self._work_on, error)
            finished = await self._finish_unbroken(failure.ending)
            self._visit.ended(outcome_of_end(finished, failed=True))
            return error or self.out.cut_off()
        failure = failed(self._failure(error), self._work_on, error)
        finished = await self._finish_unbroken(failure.ending)
        self._visit.ended(outcome_of_end(finished, failed=True))
        await self.out.answer(await self._failed(finished, failure))
        return error if failure.problem is None else None

    async def _finish_unbroken(self, end: Ending) -> Finished:
        """Finish in a task of its own, so that no cancellation breaks into it."""
        if self._middleware.immediate:
            return await self._finish(end)
        return await asyncio.shield(asyncio.ensure_future(self._finish(end)))

    def _failure(self, error: BaseException | None) -> Failure:
        if self._gone_for is not None:
            return Failure(
                Unclear(self._gone_for), problem=catalogue.handler_failed(freed=True)
            )
        if isinstance(error, asyncio.CancelledError):
            return Failure(Unclear("stopped"))  # by its server, in the middle
        if error is not None:
            failure = self._middleware.read_failure(error)
            if failure is not None:
                return failure
        failure = self._visit.transaction_failed(error)
        if failure is not None:
            return failure
        docs_url = self._gateway.dialect.docs_url
        end = raised(self._policy, error, docs_url=docs_url)
        if isinstance(error, SafeToRetry):
            return Failure(end, problem=catalogue.handler_failed(freed=True))
        return Failure(end)

    async def _failed(self, finished: Finished, failure: Failure) -> Response:
        return await self._tell.failed(finished, failure, self._lease, self._attempt)

    async def _conclude(self, sent: Sent) -> Conclusion:
        """Record the whole response that the app has sent."""
        self._running = None
        if sent.body.spilled:
            async with self._middleware.gate():
                end, failure = self._end_of(sent)
                finished = await self._finish(end)
        else:
            end, failure = self._end_of(sent)
            finished = await self._finish(end)
        passed = Outcome.UNPROTECTED if self.out.passing else None
        status = told_status(finished, sent.status)
        self._visit.ended(
            passed or outcome_of_end(finished, failed=status >= SERVER_ERROR)
        )
        if failure is not None:
            return Instead(await self._failed(finished, failure))
        if isinstance(finished, Stored):
            return LetGo(expires_header(finished.record.expires_at))
        return await self._conclusion(finished, end, sent)

    def _end_of(self, sent: Sent) -> tuple[Ending, Failure | None]:
        """Say how the response ends the work, and what its steps object to."""
        work = self._work_on
        end = stepped(self._ending(sent), work, read_steering(sent.headers))
        failure = changed(end, work, self._policy, self._gateway.dialect.docs_url)
        return (end if failure is None else failure.ending), failure

    def _ending(self, sent: Sent) -> Ending:
        data, whole = b"", sent.whole
        if whole:
            try:
                data = sent.body.read()
            except OSError:  # the copy is lost: done, and not kept
                whole = False
        return ending(
            Response(sent.status, sent.headers, data),
            self._policy,
            size=sent.size,
            complete=whole,
            behind_proxy=self._middleware.behind_proxy,
            steering=read_steering(sent.headers),
            store_bound=self._middleware.store_bound,
        )

    async def _conclusion(
        self, finished: Finished, end: Ending, sent: Sent
    ) -> Conclusion:
        match finished:
            case Freed():
                return LetGo()
            case Parked():
                return Instead(self._unclear_of(sent))
            case Lost(record):
                return Instead(await self._winners(record))
            case _ if isinstance(end, Unclear | Park):
                return Instead(unrecorded(self._unclear_of(sent)))
            case _ if self.out.streaming:
                return CutOff()
            case _:
                return LetGo(mark_unrecorded(()))

    def _unclear_of(self, sent: Sent) -> Response:
        broke = self._middleware.behind_proxy and sent.status in _BROKEN
        return self._tell.unclear(
            sent.status if broke else unclear_status(self._work_on)
        )

    async def _finish(self, end: Ending | Committed) -> Finished:
        lease, end = self._lease, exact_end(end, self._work_on, self._policy)
        if lease is None:
            return Lost(None)
        self._finishing = True
        self._visit.worked()
        finished = await self._guard.finish(lease, end, self._policy)
        self._visit.recorded(finished)
        return finished

    async def _winners(self, record: Record | None) -> Response:
        return await self._tell.winners(record, self._lease, self._attempt)

    async def _answer(self, decision: Answerable) -> None:
        if isinstance(decision, Replay):
            authorize = self._middleware.authorize_replay
            if authorize and not await self._authorized(authorize, decision):
                return
        answer, outcome = await self._tell.met(decision)
        if self._gateway.telling:
            self._visit.met(decision)
            self._visit.ended(outcome)
        del decision
        await self._send_whole(answer)

    async def _authorized(self, authorize: AuthorizeReplay, decision: Replay) -> bool:
        try:
            allowed = await authorize(self._visit.head, decision.record)
        except BaseException:
            self._visit.ended(Outcome.FORBIDDEN)
            raise
        if allowed:
            return True
        await self._refuse(catalogue.replay_forbidden(), Outcome.FORBIDDEN)
        return False

    async def _send_whole(self, answer: Response) -> None:
        if len(answer.body) <= SPILL_AT:
            if self._out is not None:
                await self._out.answer(answer)
                return
            with suppress(OSError):  # the client has gone
                await write_response(self._send, answer)
            return
        # A slow reader must not hold a large body in memory.
        spool = Spool(self._gateway.space)
        try:
            spool.write(answer.body)
        except (SpillFull, OSError):  # no room: then from memory
            spool.close()
            await self.out.answer(answer)
            return
        try:
            head = replace(answer, body=b"")
            del answer
            await self.out.answer_from(head, spool)
        finally:
            spool.close()

    async def _without_store(self, body: Body) -> None:
        if self._policy.on_store_down is OnStoreDown.REFUSE:
            problem = catalogue.store_unavailable()
            await self._refuse(problem, Outcome.STORE_UNAVAILABLE)
            return
        self.out.unprotected = True
        self._visit.ended(Outcome.UNPROTECTED)
        error = await self._run(body, self.out)
        if error is not None:
            if self.out.sent is None:
                failed = self._told(catalogue.handler_failed(freed=True))
                marked = mark_unprotected(failed.headers)
                await self.out.answer(replace(failed, headers=marked))
            raise error

    async def _refuse(self, problem: Problem, outcome: Outcome) -> None:
        self._visit.ended(outcome)
        await self.out.answer(self._told(problem))

    def _told(self, problem: Problem) -> Response:
        return self._gateway.told(problem)

    def _outward(self, headers: Headers, *, early: bool) -> Headers:
        """Give the headers that leave; *early*: before the record is complete."""
        if self.out.passing or self.out.unprotected:
            return mark_unprotected(headers)
        outward = without_own(headers)
        sent = self.out.sent
        if not early or self._lease is None or sent is None:
            return outward
        end = ending(
            Response(sent.status, headers),
            self._policy,
            behind_proxy=self._middleware.behind_proxy,
            steering=read_steering(headers),
        )
        if not isinstance(end, Keep):
            return outward  # nothing will be stored
        return outward + expires_header(self._visit.expires_early(self._lease, headers))
