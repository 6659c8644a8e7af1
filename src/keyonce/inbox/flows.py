# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What an inbox decides, written once for threads and loops. Nothing is done here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from keyonce.core.decide import (
    Expired,
    Incomparable,
    InFlight,
    Mismatch,
    Proceed,
    Replay,
    Unknown,
)
from keyonce.core.ending import Free, Keep, Park, Unclear
from keyonce.core.errors import (
    ConfigurationError,
    DeliveryDead,
    DeliveryInProgress,
    IdempotencyError,
    KeyExpired,
    LeaseLost,
    MessageReused,
    OutcomeUnknown,
    SafeToRetry,
    StoreError,
)
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import StoredResult
from keyonce.core.policy import Policy
from keyonce.core.protocols import EndedInside
from keyonce.core.rollout import Stage
from keyonce.core.states import Status
from keyonce.engine.commands import CompleteKey
from keyonce.engine.current import is_inside
from keyonce.engine.finished import Lost
from keyonce.engine.flows import ending_command
from keyonce.engine.results import JsonCodec
from keyonce.engine.transaction import vouches
from keyonce.inbox.message import NOTHING_KEPT, Delivery

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyonce.core.decide import Decision
    from keyonce.core.ending import Committed, Ending
    from keyonce.core.model import Attempt, Completion, Lease, Record, Traits
    from keyonce.core.rollout import Rollout
    from keyonce.engine.arrival import Arrival
    from keyonce.engine.finished import Finished
    from keyonce.inbox.message import Message

JSON: Final = JsonCodec()
DEAD: Final = "dead"
_DEADLY: Final = {DEAD, "parked"}
FAILED: Final = (b"keyonce-delivery", b"failed")
# Stands in the transaction of a delivery that failed: committed all the same, it
# says that what was written stays, and that nothing may run again.
FAILURE: Final = Keep(StoredResult(0, (FAILED,)))
OBSERVED: Final = Keep(NOTHING_KEPT)
# What stopped the work says nothing about the message: it does not die of that.
_NOT_ITS_FAULT: Final = (ConfigurationError, LeaseLost, StoreError)
SHADOW: Final = "~"  # before the operation of what is only observed


class Gate(NamedTuple):
    """How the rollout has one message treated: enforced, observed, or neither."""

    stage: Stage
    looks_first: bool = False  # a record that exists is honoured


class TransactionEnded(EndedInside):
    """The transaction was ended inside the block, and the message not recorded."""


class Asking(NamedTuple):
    """A message of a batch that has to be claimed."""

    message: Message
    attempt: Attempt
    arrival: Arrival


class Hold(NamedTuple):
    """What this worker holds while it handles a message.

    *work* is its handle (a Work or an AsyncWork), *block* the transaction in which it
    is completed, if there is one. *observed*: it runs without protection.
    """

    lease: Lease
    policy: Policy
    arrival: Arrival
    work: Any
    block: Any = None
    observed: bool = False


Met = tuple[Delivery, Hold | None]


@dataclass(frozen=True, slots=True)
class Desk:
    """The settings of one inbox, and what follows from them."""

    consumer: str
    source: str
    policy: Policy
    max_executions: int
    can_join: bool

    def check(self, traits: Traits, replay_window: timedelta | None) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: naming the setting, and what to change.
        """
        if not self.consumer or not self.source:
            raise ConfigurationError(
                "An inbox needs the name of its consumer and of its source: two "
                "consumers of one message each handle it once."
            )
        guarantee, retention = self.policy.guarantee, self.policy.retention
        if guarantee not in traits.guarantees:
            raise ConfigurationError(
                f"The inbox of {self.consumer!r}: the {traits.name} store cannot keep "
                f"{guarantee}. Take another store or another guarantee."
            )
        if (
            replay_window is not None
            and isinstance(retention, timedelta)
            and retention < replay_window
        ):
            raise ConfigurationError(
                f"The inbox of {self.consumer!r} forgets a message after {retention}, "
                f"and it may be delivered again for {replay_window}: the last "
                "redelivery would run anew. Make retention at least as long."
            )

    @property
    def label(self) -> str:
        """What events and metrics call this inbox."""
        return f"{self.source} {self.consumer}"

    def policy_of(self, connection: Any) -> Policy:
        """Give the policy of a delivery whose effects go over *connection*.

        Raises:
            ConfigurationError: the connection and the guarantee do not fit.
        """
        exactly = Guarantee.EXACTLY_ONCE
        if connection is None:
            if self.policy.guarantee is exactly:
                raise ConfigurationError(
                    f"The inbox of {self.consumer!r} promises exactly-once: give "
                    "receive() the connection whose transaction the effects are in."
                )
            return self.policy
        if not self.can_join:
            raise ConfigurationError(
                f"The inbox of {self.consumer!r}: its store cannot be part of a "
                "transaction. Keep the records in the database of the effects, or "
                "leave the connection out and take another guarantee."
            )
        if self.policy.guarantee is exactly:
            return self.policy
        return replace(self.policy, guarantee=exactly)

    def gate(self, message: Message) -> Gate:
        """Say how the rollout has *message* treated.

        Raises:
            ConfigurationError: it has no id, and the stage insists on one.
        """
        rollout: Rollout = self.policy.rollout()
        if rollout.stage is Stage.OFF:
            return Gate(Stage.OFF)
        try:
            message.check()
        except ConfigurationError:
            if rollout.stage is Stage.OBSERVE:
                return Gate(Stage.OFF)
            raise
        if rollout.stage is not Stage.ENFORCE:
            return Gate(rollout.stage)
        covered = rollout.covers(self.attempt(message).identity)
        return Gate(Stage.ENFORCE, looks_first=not covered)

    def attempt(self, message: Message) -> Attempt:
        """Give the attempt of one delivery.

        Raises:
            ConfigurationError: it is received inside the work on itself.
        """
        attempt = message.attempt(self.consumer, self.source)
        if is_inside(attempt.identity):
            raise ConfigurationError(
                f"The inbox of {self.consumer!r} receives a message inside the work "
                "on that very message: it would wait for itself."
            )
        return attempt

    def twin(self, asking: Asking, held: Attempt) -> Met:
        """Give the second delivery of a message in one batch, where one is *held*."""
        message, attempt, _ = asking
        if attempt.fingerprint != held.fingerprint:
            return refused(message, self.reused()), None
        return Delivery(message, JSON, first=False), None

    def has_died(self, lease: Lease) -> bool:
        """Whether the execution before this one was the last, and vanished."""
        before = lease.execution - 1
        return lease.crashes > 0 and before % self.max_executions == 0

    def dead(self) -> DeliveryDead:
        """Say that no worker gets a message done."""
        return DeliveryDead(
            f"A message of {self.consumer!r} was begun {self.max_executions} times and "
            "never got done. Dead-letter it; 'keyonce keys list --status unknown' "
            "shows it, and releasing it there lets it run again."
        )

    def failed(self, error: BaseException, lease: Lease, *, unclear: bool) -> Ending:
        """Say what it means that the work raised *error*.

        *unclear*: a step that is not safe to repeat had begun.
        """
        if isinstance(error, SafeToRetry) and (vouches(error) or not unclear):
            return Free("safe-to-retry")
        if isinstance(error, EndedInside):
            return Park("transaction-ended")
        exactly = lease.guarantee is Guarantee.EXACTLY_ONCE
        if unclear or (isinstance(error, OutcomeUnknown) and not exactly):
            return Park("step-unclear")
        if not lease.guarantee.runs_again:
            return Unclear("raised")
        if isinstance(error, Exception) and not isinstance(error, _NOT_ITS_FAULT):
            last = lease.execution % self.max_executions == 0
            return Park(DEAD) if last else Free("raised")
        return Free("stopped")

    def replayed(self, message: Message, record: Record) -> Delivery:
        """Give the delivery of a message that is done.

        Raises:
            DeliveryDead: it had raised, and its transaction was committed.
        """
        kept = record.result or NOTHING_KEPT
        if FAILED in kept.headers:
            raise DeliveryDead(
                f"The work on a message of {self.consumer!r} raised, and its "
                "transaction was committed all the same: what it had written stays, "
                "and nothing runs again. Dead-letter it and look. Let what is raised "
                "inside receive() reach the transaction, so that it is rolled back."
            )
        return Delivery(message, JSON, first=False, kept=kept)

    def reused(self) -> MessageReused:
        """Say that the id or key is that of another message."""
        return MessageReused(
            f"A message of {self.consumer!r} came before under the same id or key, "
            "with another payload. Dead-letter it: it is not the message that was "
            "handled."
        )

    def refusal(self, decision: Decision) -> IdempotencyError:
        """Give the error that *decision* is for a delivery that may not run."""
        whose = f"A message of {self.consumer!r}"
        match decision:
            case InFlight(record, age):
                return DeliveryInProgress(
                    f"{whose} is being handled by another worker, {age:.0f} s by now. "
                    "Do not acknowledge it: let it be delivered again.",
                    retry_after=max(0.1, min(record.lease_for, 1.0)),
                )
            case Mismatch():
                return self.reused()
            case Incomparable():
                return MessageReused(
                    f"{whose} came before under the same id or key, and its payload "
                    "cannot be compared: it was given then and is not now, or by a "
                    "newer version. Give payload= in every receive(), or in none."
                )
            case Unknown(record):
                if record.reason in _DEADLY:
                    return self.dead()
                return OutcomeUnknown(
                    f"{whose} was begun, and nobody can say whether it was done. "
                    "Dead-letter it; 'keyonce keys release' lets it run again."
                )
            case Expired():
                return KeyExpired(f"{whose} was handled longer ago than is kept.")
            case Proceed() | Replay():
                raise AssertionError(decision)


def desk(
    *,
    consumer: str,
    retention: timedelta | str,
    source: str,
    guarantee: Guarantee | str,
    max_executions: int,
    lease: timedelta,
    work_limit: timedelta,
    mode: Any,
    can_join: bool,
) -> Desk:
    """Put the settings of an inbox together.

    Raises:
        ConfigurationError: one that cannot work, naming it.
    """
    policy = Policy(
        guarantee=guarantee,  # type: ignore[arg-type]  # a word is fine as well
        retention=retention,  # type: ignore[arg-type]  # checked there
        max_executions=max_executions,
        lease=lease,
        work_limit=work_limit,
        mode=mode,
    )
    # One more, so that it is the inbox that says "dead", also after crashes alone.
    policy = replace(policy, max_executions=max_executions + 1)
    return Desk(consumer, source, policy, max_executions, can_join)


def unguarded(message: Message) -> Delivery:
    """Give a delivery that runs without protection."""
    return Delivery(message, JSON)


def firsts(line: Iterable[Asking | Met]) -> list[Asking]:
    """Give of a batch the first asking of each message: the others are its twins."""
    askings = [each for each in line if isinstance(each, Asking)]
    return list({each.message.identifier: each for each in reversed(askings)}.values())


def refused(message: Message, refusal: IdempotencyError) -> Delivery:
    """Give a delivery of a batch that this worker is not to handle."""
    return Delivery(message, JSON, first=False, refusal=refusal)


def joins(held: Iterable[Hold]) -> bool:
    """Whether the transaction of *held* is somebody else's to commit."""
    blocks = [hold.block for hold in held if hold.block is not None]
    return bool(blocks) and not any(block.ours for block in blocks)


def committed(hold: Hold) -> Committed | None:
    """Say how *hold* ended in a transaction that the inbox has committed, if any."""
    if hold.block is None:
        return None
    ledger = hold.work.ledger
    ledger.committed()  # as one with the message of the batch that began it
    ending: Committed | None = ledger.ending
    return ending


def shadow(attempt: Attempt) -> Attempt:
    """Give the attempt by which a message is observed, beside all that is enforced."""
    operation = SHADOW + attempt.identity.operation
    return attempt._replace(identity=attempt.identity._replace(operation=operation))


def observing(policy: Policy) -> Policy:
    """Give the policy under which messages are observed."""
    return replace(policy, guarantee=Guarantee.AT_LEAST_ONCE)


def settled(finished: Finished) -> None:
    """Let an acknowledgement follow, or say why not.

    Raises:
        LeaseLost: another worker has the message, and has not finished it.
    """
    if not isinstance(finished, Lost):
        return
    record = finished.record
    if record is None or record.status is not Status.COMPLETED:
        raise LeaseLost(
            "Another worker has taken this message, and has not finished it. Do not "
            "acknowledge it here."
        )


def ended_inside() -> TransactionEnded:
    """Say that commit or rollback was called in the block."""
    return TransactionEnded(
        "The transaction of this delivery was ended inside the block, before the "
        "message was recorded in it: nobody can say what was committed, and it does "
        "not run again. Leave commit and rollback to whoever began the transaction."
    )


def unfinished(lease: Lease, policy: Policy) -> Completion:
    """Give what stands in the transaction of a delivery that failed."""
    command = ending_command(lease, FAILURE, policy.terms)
    assert isinstance(command, CompleteKey)  # noqa: S101 - what a Keep becomes
    return command.completion
