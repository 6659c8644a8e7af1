# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What exactly-once means for a request, for threads and event loops alike.

The app's response is held whole until the transaction has ended. After a commit the
stored answer goes out, whatever the app has sent or raised; without one nothing is an
outcome.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.ending import Committed, Free, Keep, Unclear
from keyonce.core.errors import ConfigurationError, NotCommitted
from keyonce.core.model import StoredResult
from keyonce.core.policy import OnStoreDown
from keyonce.engine.calls import check_rebuild
from keyonce.engine.finished import Stored
from keyonce.engine.outcomes import (
    Unsaid,
    by_reference,
    is_by_reference,
    outcome_of,
    without_rebuild,
)
from keyonce.engine.transaction import (
    CommitUnclear,
    Stage,
    check_promise,
    exact,
    never_committed,
)
from keyonce.http import catalogue
from keyonce.http.answer import stored_answer
from keyonce.http.committed import check_head, committed, meant, too_large
from keyonce.http.messages import Response
from keyonce.integrations.failure import Failure
from keyonce.integrations.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyonce.core.ending import Ending
    from keyonce.core.model import Record
    from keyonce.core.policy import Policy
    from keyonce.engine.finished import Finished
    from keyonce.engine.handle import Handle
    from keyonce.http.messages import Headers, RequestHead
    from keyonce.http.operation import Rule
    from keyonce.http.problem import Problem
    from keyonce.integrations.spool import SpillSpace

log: Final = logging.getLogger("keyonce")
_RAISED: Final = 500  # what frameworks answer for a handler that raised


class Undone(Exception):
    """The answer of a handler is no outcome: its transaction is rolled back."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which *rule* the request of *head* is answered, and what is kept.

    *told* writes a problem. Not *recorded*: nobody guards this request.
    """

    rule: Rule
    head: RequestHead
    space: SpillSpace
    bound: int
    told: Callable[[Problem], Response]
    recorded: bool = True

    def stored(self, record: Record) -> Response:
        """Give the first caller what every retry will get, of a whole *record*."""
        if record.result is None:
            return self.not_built()
        return stored_answer(record.result, self.head)

    def not_built(self) -> Response:
        """Say that the answer could not be built."""
        return self.told(catalogue.answer_not_built())

    def keep(
        self, value: Any, status: int | None, headers: Iterable[tuple[str, str]]
    ) -> Keep:
        """Give the ending of a request whose answer is said inside a transaction.

        Raises:
            ConfigurationError: the rule promises something else, or the answer is by
                reference and the rule has no rebuild.
            ResultNotEncodable: no retry could get this answer.
        """
        if not is_exact(self.rule):
            raise ConfigurationError(
                f"Rule {self.rule.match!r} declares {self.rule.policy.guarantee}, and "
                "its outcome is what the handler answers: work.complete() is for "
                "exactly-once."
            )
        if value is Unsaid.REBUILT and self.rule.rebuild is None:
            raise without_rebuild(f"Rule {self.rule.match!r}")
        result = outcome_of(value, status, headers)
        kept = committed(result, self.rule.policy, self.bound)
        if value is not Unsaid.REBUILT:
            return kept
        outcome = by_reference(result.status, kept.result.headers)
        return Keep(outcome, kept.retention_for, kept.reference)


class Held:
    """One response of the app, held whole."""

    status: int | None = None
    headers: Headers = ()
    size = 0
    _guarded = True

    def __init__(self, terms: Terms) -> None:
        """Begin without a head."""
        self._terms = terms
        self._body = Spool(terms.space)
        self.ignored = False  # whatever comes now is no answer any more

    def heed(self, work: Handle) -> None:
        """Hear how far the transaction of *work* has got."""
        self.ignored = work.ledger.stage is Stage.COMMITTED
        self._guarded = self._terms.recorded or work.ledger.is_open

    def start(self, status: int, headers: Headers) -> None:
        """Take the head.

        Raises:
            ResultNotEncodable: the answer has no end.
        """
        if self._guarded and not self.ignored:
            check_head(status, headers)
        self.status, self.headers = status, headers

    def take(self, data: bytes) -> None:
        """Take a piece of the body.

        Raises:
            ResultNotEncodable: it is over what is kept of one answer.
            SpillFull: there is no room to hold it.
            RuntimeError: there is no head yet.
        """
        if self.status is None:
            message = "The app sent a body before it started a response."
            raise RuntimeError(message)
        self.size += len(data)
        if self.ignored or not data:
            return
        if self.size > self._terms.bound and self._terms.recorded:
            raise too_large(self._terms.bound)
        self._body.write(data)

    def answer(self) -> Response:
        """Give the response as the app sent it."""
        return Response(self.status or 0, self.headers, self._body.read())

    def close(self) -> None:
        """Forget it."""
        self._body.close()

    def outcome(self) -> StoredResult | None:
        """Give it as an outcome, or None where the handler means to have failed."""
        terms, answer = self._terms, self.answer()
        end = meant(answer, terms.rule.policy, terms.bound)
        if not isinstance(end, Keep):
            return None
        return StoredResult(
            answer.status, answer.headers, answer.body, size=len(answer.body)
        )


def refusal_of(held: Held, work: Handle, terms: Terms) -> BaseException | None:
    """Say what is wrong with a whole response whose work has not been committed.

    None where the handler means to have failed, or vouches that nothing happened.
    """
    if not terms.recorded:
        return None
    failure = work.ledger.failure
    if held.status == _RAISED and failure is not None:
        return failure  # which the framework has made a response of its own of
    meant_well = held.outcome() is not None
    return (
        never_committed(f"The handler of {terms.rule.match!r}") if meant_well else None
    )


def is_exact(rule: Rule) -> bool:
    """Whether nothing but a commit is an outcome under *rule*."""
    return exact(rule.policy)


def exact_end(
    end: Ending | Committed, work: Handle | None, policy: Policy
) -> Ending | Committed:
    """Give *end*, or what it comes to where nothing but a commit is an outcome."""
    if not exact(policy) or isinstance(end, Committed):
        return end
    if work is not None and work.ledger.ending is not None:
        return work.ledger.ending
    if isinstance(end, Unclear):
        return Free(end.reason)
    return Free("not-committed") if isinstance(end, Keep) else end


def told_status(finished: Finished, status: int) -> int:
    """Give the status of the outcome that an answer of *status* tells of."""
    if isinstance(finished, Stored) and is_by_reference(finished.record.result):
        return finished.record.result.status if finished.record.result else status
    return status


def failure_of(
    error: BaseException | None, *, header: str, operation: str
) -> Failure | None:
    """Say what an error of a transaction means for the key and its first caller."""
    if isinstance(error, NotCommitted):
        log.error("%s: %s", operation, error)
        return Failure(Free("not-committed"), problem=catalogue.not_committed())
    if isinstance(error, CommitUnclear):
        # To release does nothing to what the commit has completed after all.
        problem = catalogue.commit_unclear(header=header)
        return Failure(Free("commit-unclear"), problem=problem)
    return None


def check_exact(rule: Rule, store: Any, *, behind_proxy: bool = False) -> None:
    """Refuse a rule of exactly-once that cannot be kept, or that says too much.

    Raises:
        ConfigurationError: naming the rule, and what to do.
    """
    named, policy = f"Rule {rule.match!r}", rule.policy
    if behind_proxy and exact(policy):
        raise ConfigurationError(
            f"{named}: exactly-once needs effect and record in one database "
            "transaction, which is out of a proxy's reach. Declare another guarantee, "
            "or put the middleware into the service itself."
        )
    try:
        check_promise(rule.match, policy, store, connected=rule.connection is not None)
    except ConfigurationError as error:
        raise ConfigurationError(f"{named}: {error}") from None
    check_rebuild(rule.match, rule.rebuild, policy)
    if rule.connection is not None and not callable(rule.connection):
        raise ConfigurationError(
            f"{named}: connection is a function that gives a context manager around a "
            f"connection, not {rule.connection!r}."
        )
    if not exact(policy):
        return
    if policy.reconcile is not None:
        raise ConfigurationError(
            f"{named}: under exactly-once no outcome is unknown, so that there is "
            "nothing to reconcile. Leave reconcile= out."
        )
    if policy.on_store_down is OnStoreDown.PROCEED:
        raise ConfigurationError(
            f"{named}: under exactly-once nothing runs without its store. Leave "
            "on_store_down out, or declare another guarantee."
        )
