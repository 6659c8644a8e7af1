# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a caller under ASGI hears that gets no answer of the app's own."""

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
from keyonce.engine.flows import compare
from keyonce.http import catalogue
from keyonce.http.answer import expires_header, failure_answer, mark_unrecorded
from keyonce.integrations.rebuilding import NotBuilt, async_with_answer

if TYPE_CHECKING:
    from keyonce.core.model import Attempt, Lease, Record
    from keyonce.core.outcomes import Answerable
    from keyonce.engine.finished import Finished
    from keyonce.http.messages import Response
    from keyonce.http.problem import Problem
    from keyonce.integrations.asgi import IdempotencyMiddleware
    from keyonce.integrations.failure import Failure
    from keyonce.integrations.gateway import Visit


class AsyncTeller:
    """Makes the answers of our own to one request."""

    def __init__(self, middleware: IdempotencyMiddleware, visit: Visit) -> None:
        """Answer *visit*."""
        self._middleware = middleware
        self._visit = visit
        self._dialect = middleware.gateway.dialect

    async def met(self, decision: Answerable) -> tuple[Response, Outcome]:
        """Say what an attempt hears that does not run, and what became of it."""
        if not isinstance(decision, Replay):
            return self._visit.answer(decision), outcome_of(decision)
        try:
            record = await async_with_answer(decision.record, self._visit.rule)
        except NotBuilt:
            return self.told(catalogue.answer_not_built()), Outcome.NOT_KEPT
        whole = Replay(record)
        return self._visit.answer(whole), outcome_of(whole)

    async def failed(
        self,
        finished: Finished,
        failure: Failure,
        lease: Lease | None,
        attempt: Attempt | None,
    ) -> Response:
        """Answer for an app that raised, as it was recorded."""
        match finished:
            case Stored(record) if not isinstance(failure.ending, Keep):  # committed
                return (await self.met(Replay(record)))[0]
            case Stored(record):
                answer = failure_answer(failure.ending, dialect=self._dialect)
                extra = expires_header(record.expires_at)
                return replace(answer, headers=answer.headers + extra)
            case Freed():
                return self._freed(failure)
            case Parked():
                return self.unclear(failure.status)
            case Lost(record):
                return await self.winners(record, lease, attempt)
            case Unrecorded() if isinstance(failure.ending, Free) and failure.problem:
                return unrecorded(self.told(failure.problem))
            case Unrecorded():
                return unrecorded(
                    failure_answer(
                        failure.ending,
                        unclear_status=failure.status,
                        dialect=self._dialect,
                    )
                )

    def _freed(self, failure: Failure) -> Response:
        return self.told(failure.problem or catalogue.handler_failed(freed=True))

    async def winners(
        self, record: Record | None, lease: Lease | None, attempt: Attempt | None
    ) -> Response:
        """Answer with the outcome of whoever took the key from this execution."""
        if (record is None or record.result is None) and lease is not None:
            patience = self._visit.rule.policy.patience
            record = await self._middleware.guard.winner(lease, wait_for=patience)
        replay = _replay_of(record, attempt)
        if replay is not None and await self._may_have(replay):
            return (await self.met(replay))[0]
        return self.unclear(500)

    async def _may_have(self, replay: Replay) -> bool:
        authorize = self._middleware.authorize_replay
        return authorize is None or await authorize(self._visit.head, replay.record)

    def unclear(self, status: int) -> Response:
        """Say that nobody knows the outcome."""
        return self.told(self._visit.unclear_end(status))

    def told(self, problem: Problem) -> Response:
        """Write *problem*."""
        return self._middleware.gateway.told(problem)


def _replay_of(record: Record | None, attempt: Attempt | None) -> Replay | None:
    """Give *record* as an answer, if it is of this very request."""
    if record is None or attempt is None:
        return None
    news = Claimed(record, record.claimed_at)
    try:
        decision, _ = compare(news, attempt, attempt.fingerprint, b"")
    except RecordUnreadable:  # sealed, and this process has no keys
        return None
    return decision if isinstance(decision, Replay) else None


def unrecorded(answer: Response) -> Response:
    """Mark *answer* as one that could not be recorded."""
    return replace(answer, headers=mark_unrecorded(answer.headers))
