# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What one execution has put into a transaction of its author's, and whether it holds.

No I/O: the handles of threads and of loops carry out what is said here.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.ending import Committed
from keyonce.core.errors import (
    ConfigurationError,
    LeaseLost,
    NotCommitted,
    OutcomeUnknown,
    SafeToRetry,
    StoreUnavailable,
)
from keyonce.core.guarantee import Guarantee
from keyonce.core.policy import Policy
from keyonce.core.protocols import EndedInside
from keyonce.core.states import Status
from keyonce.engine.commands import CompleteKey, FindKey, ReleaseKey
from keyonce.engine.finished import Stored
from keyonce.engine.flows import FIRST_PAUSE, completed, ending_command, insist

if TYPE_CHECKING:
    from collections.abc import Generator

    from keyonce.core.ending import Keep
    from keyonce.core.model import Claimed, Completion, Lease, Record
    from keyonce.core.policy import Terms
    from keyonce.engine.commands import Command

RUNS: Final = 3  # of a whole transaction that others got into the way of


class Stage(Enum):
    """How far the transaction of an execution got."""

    NONE = auto()
    OPEN = auto()
    COMPLETED = auto()  # the outcome is in it, and it is not committed yet
    COMMITTED = auto()


class Conflict(SafeToRetry):
    """Other transactions got in the way of this one, and all of it is undone."""


def vouches(error: BaseException) -> bool:
    """Whether an author says by *error* that nothing happened, in no step either."""
    return isinstance(error, SafeToRetry) and not isinstance(error, Conflict)


class CommitUnclear(OutcomeUnknown):
    """Nobody can say whether a commit took effect; the next attempt finds out."""


class Ledger:
    """What has become of the transaction of one execution."""

    def __init__(self, lease: Lease) -> None:
        """Begin without one."""
        self.lease = lease
        self.stage = Stage.NONE
        self.record: Record | None = None
        self.reference: str | None = None
        self.block: Any = None  # through which the outcome is given
        self.connection: Any = None
        self.failure: BaseException | None = None  # what the block raised at its end

    def open(self, block: Any, *, step: str) -> None:
        """Begin a transaction, through *block*.

        Raises:
            ConfigurationError: there is one already, or this is inside a step.
        """
        if step:
            raise ConfigurationError(
                f"A transaction was begun inside step {step!r}: a step is recorded by "
                "itself. Do one or the other."
            )
        if self.stage is not Stage.NONE:
            raise ConfigurationError(
                "This work has a transaction already: one execution commits its effect "
                "and its outcome once. Put all of it into one transaction."
            )
        self.stage, self.block, self.failure = Stage.OPEN, block, None

    def closed(self) -> None:
        """Take note that the transaction was rolled back."""
        self.stage, self.record, self.reference = Stage.NONE, None, None
        self.connection = None

    @property
    def is_open(self) -> bool:
        """Whether what is written now is to be part of the transaction."""
        return self.stage in (Stage.OPEN, Stage.COMPLETED)

    def refer(self, text: str) -> None:
        """Put the reference into the transaction, with the outcome.

        Raises:
            ConfigurationError: the outcome is in it already.
        """
        if self.stage is Stage.COMPLETED:
            raise ConfigurationError(
                "The outcome was given already: call work.reference() before "
                "work.complete()."
            )
        self.reference = text

    def check_step(self, name: str) -> None:
        """Refuse a step inside a transaction.

        Raises:
            ConfigurationError: naming it.
        """
        if self.is_open:
            raise ConfigurationError(
                f"Step {name!r} was taken inside a transaction: it would be recorded "
                "although the transaction may be undone. Take it before, or do its "
                "work as part of the transaction."
            )
        if self.stage is Stage.COMMITTED:
            raise ConfigurationError(
                f"Step {name!r} was taken after the commit, which has closed the "
                "record: nothing could be noted of it, and no retry would take it. "
                "Take it before the transaction."
            )

    def check_reference(self) -> None:
        """Refuse a reference that comes too late for the record.

        Raises:
            ConfigurationError: the outcome is committed.
        """
        if self.stage is Stage.COMMITTED:
            raise ConfigurationError(
                "The outcome is committed, and its record closed: call "
                "work.reference() before work.complete()."
            )

    def completion(self, keep: Keep, terms: Terms) -> Completion:
        """Give the command that puts *keep* into the transaction.

        Raises:
            ConfigurationError: no transaction is open, or it has its outcome.
        """
        if self.stage is Stage.NONE:
            raise self.not_open()
        if self.stage is not Stage.OPEN:
            raise ConfigurationError(
                "The outcome of this work was given already: call work.complete() once."
            )
        if self.reference is not None:
            keep = replace(keep, reference=self.reference)
        command = ending_command(self.lease, keep, terms)
        assert isinstance(command, CompleteKey)  # noqa: S101 - a Keep is one
        return command.completion

    def not_open(self) -> ConfigurationError:
        """Say that an outcome was given outside any transaction."""
        return ConfigurationError(
            "No transaction is open: call work.complete() inside 'with "
            "work.transaction(connection):'."
        )

    def completed(self, record: Record | None) -> None:
        """Take note of what the store made of the completion.

        Raises:
            LeaseLost: the key is somebody else's: nothing may be committed.
        """
        if not isinstance(completed(self.lease, record), Stored):
            raise LeaseLost(
                "Another worker has taken this key: the transaction is rolled back, "
                "and nothing of it stays."
            )
        self.stage, self.record = Stage.COMPLETED, record

    def check_completed(self) -> None:
        """Refuse to end a transaction that does not hold the outcome.

        Raises:
            NotCommitted: before anything was committed.
        """
        if self.stage is not Stage.COMPLETED:
            raise NotCommitted(
                "The transaction ends without an outcome: call work.complete(...) "
                "inside it, so that effect and outcome commit together. Nothing was "
                "committed."
            )

    def committed(self, record: Record | None = None) -> None:
        """Take note of the commit, and of the *record* if it was read again."""
        self.stage = Stage.COMMITTED
        self.record = record or self.record

    @property
    def ending(self) -> Committed | None:
        """How the execution ended, where that is committed."""
        if self.stage is Stage.COMMITTED and self.record is not None:
            return Committed(self.record)
        return None


def unclear_commit(
    lease: Lease, give_up_at: float
) -> Generator[Command, Any, Record | None]:
    """Find out whether a commit that failed took effect: the record, or None.

    What is not there yet may still come, so the key is released: the store does
    that after a commit under way, or instead of it.

    Raises:
        OutcomeUnknown: the store does not answer.
        LeaseLost: the key is somebody else's.
    """
    try:
        record = yield from _own_outcome(lease, give_up_at)
        if record is not None:
            return record
        release = ReleaseKey(lease.identity, lease.owner, "commit-failed", None)
        if (yield from insist(release, give_up_at)):
            return None
        record = yield from _own_outcome(lease, give_up_at)
    except StoreUnavailable as error:
        raise commit_unclear() from error
    if record is None:
        raise LeaseLost("Another worker has taken this key; nothing was committed.")
    return record


def outcome_of_ended(
    lease: Lease, give_up_at: float
) -> Generator[Command, Any, Record | None]:
    """Look whether a transaction that was ended inside its block was committed.

    None as well where the store does not answer: nothing is freed by that.
    """
    try:
        return (yield from _own_outcome(lease, give_up_at))
    except StoreUnavailable:
        return None


def owners_commit(
    lease: Lease, give_up_at: float
) -> Generator[Command, Any, Record | None]:
    """Look whether the owner of a joined transaction has committed it.

    Raises:
        StoreUnavailable: the store did not answer in time.
    """
    return (yield from _own_outcome(lease, give_up_at))


def _own_outcome(
    lease: Lease, give_up_at: float
) -> Generator[Command, Any, Record | None]:
    found: Claimed | None = yield from insist(FindKey(lease.identity), give_up_at)
    if found is None:
        return None
    ours = found.record.owner == lease.owner
    done = found.record.status is Status.COMPLETED
    return found.record if ours and done else None


def joining(store: Any, verb: str = "transaction") -> Any:
    """Give *store* as one that joins its callers' transactions.

    Raises:
        ConfigurationError: it cannot.
    """
    if getattr(store, verb, None) is None:
        raise ConfigurationError(
            f"The store {store.traits.name!r} cannot join a transaction: the effect "
            "and its record would be committed apart; exactly-once needs a store in "
            "the database of the effects: SQLite, PostgreSQL, MySQL or MariaDB."
        )
    return store


def exact(policy: Policy) -> bool:
    """Whether nothing but a commit is an outcome."""
    return policy.guarantee is Guarantee.EXACTLY_ONCE


def check_promise(name: str, policy: Policy, store: Any, *, connected: bool) -> None:
    """Refuse to guard the function *name* as *policy* says, where that cannot be.

    Raises:
        ConfigurationError: the store cannot join transactions, or a connection is
            given for nothing.
    """
    if not isinstance(name, str) or not name:
        raise ConfigurationError(
            f"The name of an operation is a text such as 'pay', not {name!r}."
        )
    if not isinstance(policy, Policy):
        raise ConfigurationError(
            f"{name!r}: policy is a Policy, such as Policy(guarantee='resume'), not "
            f"{policy!r}."
        )
    if exact(policy):
        joining(store)
    elif connected:
        raise ConfigurationError(
            f"{name!r} is given a connection, and its guarantee is "
            f"{policy.guarantee}: the transaction around a function is for "
            "exactly-once. Declare that, or leave connection= out."
        )


def not_ours(name: str) -> ConfigurationError:
    """Say that the connections made for a function have a transaction open."""
    return ConfigurationError(
        f"A connection for {name!r} has a transaction open already, which nobody would "
        "commit. Let connection= give a fresh one, without autocommit=False in sqlite3."
    )


def commit_unclear() -> CommitUnclear:
    """Say that the store is silent about a commit."""
    return CommitUnclear(
        "The commit failed and the store does not answer, so that nobody can say "
        "whether it took effect. The next attempt will find out."
    )


def ended_early() -> EndedInside:
    """Say that commit or rollback was called before there was an outcome."""
    return EndedInside(
        "The transaction was ended inside its block, before work.complete(): nobody "
        "can say what was committed, and the work is not run again. Leave commit and "
        "rollback to the block; raise where all is to be undone."
    )


def conflict(*, undone: bool = True) -> Conflict:
    """Say that the whole may be run again; not *undone*: that is its owner's to do."""
    if not undone:
        return Conflict(
            "Other transactions got in the way of this one. Roll it back, and try "
            "again: the key is free."
        )
    return Conflict(
        "Other transactions got in the way of this one. All of it is undone, and the "
        "key is free: try again."
    )


def pause_after(runs: int) -> float:
    """How long to keep out of the others' way before the next run, in seconds."""
    return FIRST_PAUSE * float(2**runs)


def never_committed(what: str) -> NotCommitted:
    """Say that work under exactly-once ended without a commit."""
    return NotCommitted(
        f"{what} ended, and its outcome was not committed. Under exactly-once, do the "
        "work inside 'with work.transaction(connection):' and call work.complete(...) "
        "there; where the transaction is yours, commit it. The key is free."
    )
