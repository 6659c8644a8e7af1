# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One guarded request under WSGI: begin, then work, answer or refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.decide import Proceed, Replay
from keyonce.core.errors import ConfigurationError, RecordUnreadable, StoreUnavailable
from keyonce.core.events import Outcome
from keyonce.core.policy import OnStoreDown
from keyonce.http import catalogue
from keyonce.integrations.gateway import patience
from keyonce.integrations.spool import SPILL_AT, SpillFull, Spool
from keyonce.integrations.wsgi_response import Answer, decoded, status_line
from keyonce.integrations.wsgi_told import Teller
from keyonce.integrations.wsgi_unprotected import Unprotected
from keyonce.integrations.wsgi_work import Loss, Task, Work

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from keyonce.core.model import Attempt, Record
    from keyonce.core.outcomes import Answerable
    from keyonce.http.messages import Body, Response
    from keyonce.http.problem import Problem
    from keyonce.integrations.gateway import Visit
    from keyonce.integrations.wsgi import IdempotencyMiddleware


class Exchange:
    """The answer to one guarded request."""

    def __init__(
        self,
        middleware: IdempotencyMiddleware,
        visit: Visit,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        """Answer *visit* through *start_response*."""
        self._middleware = middleware
        self._visit = visit
        self._policy = visit.rule.policy
        self._environ = environ
        self._start_response = start_response

    def guarded(self, attempt: Attempt, body: Body) -> Iterable[bytes]:
        """Answer a request with a good key, running the app at most once."""
        gone = Loss()
        self._tell = Teller(self._middleware, self._visit, attempt)
        try:
            self._middleware.fitness.check()
            decision = self._middleware.guard.begin(
                attempt,
                self._policy,
                wait_for=patience(self._policy),
                on_gone=gone,
            )
        except StoreUnavailable as error:
            self._visit.failed(error)
            return self._without_store(body)
        except RecordUnreadable as error:
            self._visit.failed(error)
            body.close()
            header = self._middleware.gateway.dialect.key_header
            problem = catalogue.record_corrupt(header=header)
            return self._refuse(problem, Outcome.UNREADABLE)
        except ConfigurationError as error:
            self._visit.failed(error)
            self._middleware.fitness.refused(error)
            body.close()
            return self._refuse(
                catalogue.store_unavailable(), Outcome.STORE_UNAVAILABLE
            )
        except BaseException:
            self._visit.ended(Outcome.STORE_UNAVAILABLE)
            raise
        if isinstance(decision, Proceed):
            return self._work(Task(attempt, decision.lease, body, gone)).answer()
        body.close()
        return self._answer(decision)

    def _work(self, task: Task) -> Work:
        return Work(
            self._middleware,
            self._visit,
            self._environ,
            self._start_response,
            task,
        )

    def _answer(self, decision: Answerable) -> Iterable[bytes]:
        if isinstance(decision, Replay) and not self._may_have(decision.record):
            return self._refuse(catalogue.replay_forbidden(), Outcome.FORBIDDEN)
        answer, outcome = self._tell.met(decision)
        self._visit.met(decision)
        self._visit.ended(outcome)
        return write_response(self._start_response, answer, aside=self._aside())

    def _may_have(self, record: Record) -> bool:
        try:
            return self._middleware.may_replay(self._visit.head, record)
        except BaseException:
            self._visit.ended(Outcome.FORBIDDEN)
            raise

    def _aside(self) -> Spool:
        return Spool(self._middleware.gateway.space)

    def _refuse(self, problem: Problem, outcome: Outcome) -> Iterable[bytes]:
        self._visit.ended(outcome)
        told = self._middleware.gateway.told(problem)
        return write_response(self._start_response, told)

    def _without_store(self, body: Body) -> Iterable[bytes]:
        if self._policy.on_store_down is OnStoreDown.REFUSE:
            body.close()
            problem = catalogue.store_unavailable()
            return self._refuse(problem, Outcome.STORE_UNAVAILABLE)
        self._visit.ended(Outcome.UNPROTECTED)
        app = self._middleware.unguarded(self._visit.rule, self._visit.head)
        unprotected = Unprotected(self._middleware, app, self._start_response)
        return unprotected.run(self._environ, body)


def write_response(
    start_response: StartResponse,
    answer: Response,
    *,
    bodiless: bool = False,
    aside: Spool | None = None,
) -> Iterable[bytes]:
    """Give the server a whole answer; a large one waits *aside*, not in memory."""
    start_response(status_line(answer.status), decoded(answer.headers))
    if bodiless or not answer.body:
        return []
    if aside is None or len(answer.body) <= SPILL_AT:
        return [answer.body]
    try:
        aside.write(answer.body)
    except (OSError, SpillFull):
        aside.close()
        return [answer.body]
    return Answer(aside.chunks(), aside.close)
