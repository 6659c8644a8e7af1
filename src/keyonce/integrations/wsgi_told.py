# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a first caller under WSGI hears that gets no answer of the app's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from keyonce.core.decide import Replay
from keyonce.core.ending import Free, Keep
from keyonce.core.errors import RecordUnreadable
from keyonce.core.events import Outcome
from keyonce.core.model import Claimed
from keyonce.core.outcomes import outcome_of
from keyonce.engine.finished import Freed, Lost, Parked, Stored, Unrecorded
from keyonce.engine.flows import NOBODY, compare
from keyonce.http import catalogue
from keyonce.http.answer import expires_header, failure_answer, mark_unrecorded
from keyonce.integrations.rebuilding import NotBuilt, with_answer

if TYPE_CHECKING:
    from keyonce.core.model import Attempt, Lease, Record
    from keyonce.core.outcomes import Answerable
    from keyonce.engine.finished import Finished
    from keyonce.http.messages import Response
    from keyonce.http.problem import Problem
    from keyonce.integrations.failure import Failure
    from keyonce.integrations.gateway import Visit
    from keyonce.integrations.wsgi import IdempotencyMiddleware


class Teller:
    """Makes the answers of our own at the end of one execution."""

    def __init__(
        self, middleware: IdempotencyMiddleware, visit: Visit, attempt: Attempt
    ) -> None:
        """Answer *visit*, whose request made *attempt*."""
        self._middleware = middleware
        self._visit = visit
        self._attempt = attempt
        self._dialect = middleware.gateway.dialect

    def met(self, decision: Answerable) -> tuple[Response, Outcome]:
        """Say what an attempt hears that does not run, and what became of it."""
        if not isinstance(decision, Replay):
            return self._visit.answer(decision), outcome_of(decision)
        try:
            record = with_answer(decision.record, self._visit.rule)
        except NotBuilt:
            return self._told(catalogue.answer_not_built()), Outcome.NOT_KEPT
        whole = Replay(record)
        return self._visit.answer(whole), outcome_of(whole)

    def failed(self, lease: Lease, finished: Finished, failure: Failure) -> Response:
        """Answer for an app that raised, as it was recorded."""
        match finished:
            case Stored(record) if not isinstance(failure.ending, Keep):  # committed
                return self.met(Replay(record))[0]
            case Stored(record):
                answer = failure_answer(failure.ending, dialect=self._dialect)
                extra = expires_header(record.expires_at)
                return replace(answer, headers=answer.headers + extra)
            case Freed():
                return self._freed(failure)
            case Parked():
                return self.unclear(failure.status)
            case Lost(record):
                return self.winners(lease, record)
            case Unrecorded():
                return _unrecorded(self._failure(failure))

    def _failure(self, failure: Failure) -> Response:
        if isinstance(failure.ending, Free):
            return self._freed(failure)
        return failure_answer(
            failure.ending, unclear_status=failure.status, dialect=self._dialect
        )

    def _freed(self, failure: Failure) -> Response:
        return self._told(failure.problem or catalogue.handler_failed(freed=True))

    def winners(self, lease: Lease, record: Record | None) -> Response:
        """Answer with the outcome of whoever took the key from *lease*.

        Only where it is the outcome of the same request: the key may have been
        freed in between, and used for another.
        """
        if record is None or record.result is None:
            record = self._middleware.guard.winner(
                lease, wait_for=self._visit.rule.policy.patience
            )
        if record is None or record.result is None or not self._may_have(record):
            return self.unclear()
        return self.met(Replay(record))[0]

    def _may_have(self, record: Record) -> bool:
        attempt = self._attempt
        claimed = Claimed(record, record.ended_at or record.claimed_at)
        try:
            decision = compare(claimed, attempt, attempt.fingerprint, NOBODY)[0]
        except RecordUnreadable:  # sealed, and this process has no keys
            return False
        may_replay = self._middleware.may_replay
        return isinstance(decision, Replay) and may_replay(self._visit.head, record)

    def unclear(self, status: int = 500) -> Response:
        """Say that nobody knows the outcome."""
        return self._told(self._visit.unclear_end(status))

    def unclear_and_unrecorded(self) -> Response:
        """Say that nobody knows the outcome, nor could that be recorded."""
        return _unrecorded(self.unclear())

    def _told(self, problem: Problem) -> Response:
        return self._middleware.gateway.told(problem)


def _unrecorded(answer: Response) -> Response:
    return replace(answer, headers=mark_unrecorded(answer.headers))
