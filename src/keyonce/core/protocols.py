# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the engine asks of the rooms around it.

Every store verb is one atomic step, guarded by the owner token, on the store's
own clock. A store raises StoreUnavailable when it cannot answer; repeating the
same command with the same token is then safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyonce.core.errors import StoreError
    from keyonce.core.model import (
        AuditRow,
        Claim,
        Claimed,
        Completion,
        Finding,
        Identity,
        Note,
        Query,
        Record,
        Settlement,
        StoreStats,
        Traits,
    )


class Store(Protocol):
    """Where records live, called from threads."""

    @property
    def traits(self) -> Traits:
        """What this store is able to promise."""

    def claim(self, command: Claim) -> Claimed:
        """Give the key to the claimant if it is free; tell how the record stands."""

    def complete(self, command: Completion) -> Record | None:
        """Store the outcome if *command.owner* still holds the key.

        Gives the record as it now is, whoever holds it, or None when it is
        gone. It was stored when the record is COMPLETED with that owner.
        """

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        """Free the key if *owner* still holds it; say whether it did."""

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        """Make the record UNKNOWN if *owner* still holds it; say whether it did."""

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        """Prolong the lease if *owner* still holds it, else None.

        An UNKNOWN record of this owner comes back as it is, not prolonged.
        """

    def note(self, command: Note) -> bool:
        """Write down how far the work got, if *command.owner* still holds the key.

        Says whether it does. A note with a smaller number than the last one changes
        nothing and says the same. What was noted outlives the execution: the next one
        finds it in the record that its claim gives, until the work is completed.
        """

    def find(self, identity: Identity) -> Claimed | None:
        """Read one record with its result, seen through retention."""

    def settle(self, command: Settlement) -> Record:
        """Resolve or release an unknown record, or forget one; leave an audit row.

        Gives the record as it now is; of one that is forgotten, what it was, without
        outcome and steps.

        Raises:
            SettlementRefused: the record is not in a state to be settled.
        """

    def records(self, query: Query) -> Sequence[Record]:
        """List records, without their results, ordered by identity."""

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        """List operator actions, newest first."""

    def stats(self) -> StoreStats:
        """Count what is stored."""

    def purge(self, limit: int = 1000) -> int:
        """Remove at most *limit* expired records in one short step; say how many."""

    def examine(self) -> Sequence[Finding]:
        """Check the settings that the promises rest on."""

    def close(self) -> None:
        """Give up connections and threads. Closing twice is fine."""


class AsyncStore(Protocol):
    """Where records live, called from one event loop: the verbs of Store."""

    @property
    def traits(self) -> Traits:
        """What this store is able to promise."""

    def blocking(self) -> Store:
        """Give a Store over the same records, for other threads."""

    async def claim(self, command: Claim) -> Claimed:
        """Give the key to the claimant if it is free; tell how the record stands."""

    async def complete(self, command: Completion) -> Record | None:
        """Store the outcome if *command.owner* still holds the key."""

    async def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        """Free the key if *owner* still holds it; say whether it did."""

    async def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        """Make the record UNKNOWN if *owner* still holds it; say whether it did."""

    async def renew(self, identity: Identity, owner: bytes) -> Record | None:
        """Prolong the lease if *owner* still holds it, else None."""

    async def note(self, command: Note) -> bool:
        """Write down how far the work got, if *command.owner* still holds the key."""

    async def find(self, identity: Identity) -> Claimed | None:
        """Read one record with its result, seen through retention."""

    async def settle(self, command: Settlement) -> Record:
        """Resolve or release an unknown record, or forget one; leave an audit row."""

    async def records(self, query: Query) -> Sequence[Record]:
        """List records, without their results, ordered by identity."""

    async def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        """List operator actions, newest first."""

    async def stats(self) -> StoreStats:
        """Count what is stored."""

    async def purge(self, limit: int = 1000) -> int:
        """Remove at most *limit* expired records in one short step; say how many."""

    async def examine(self) -> Sequence[Finding]:
        """Check the settings that the promises rest on."""

    async def close(self) -> None:
        """Give up connections and threads. Closing twice is fine."""


class BatchingStore(Store, Protocol):
    """A Store that claims many keys as fast as one."""

    def claim_many(self, commands: Sequence[Claim]) -> Sequence[Claimed | StoreError]:
        """Claim each like ``claim``, in as few trips as the store can, best in one.

        No two of *commands* are of one identity. The answers are in their order, and
        none depends on another: a record that cannot be read or reached gives its
        error in its place. All are asked in the order of their
        identities, so that two batches never wait for each other.
        """


class AsyncBatchingStore(AsyncStore, Protocol):
    """An AsyncStore that claims many keys as fast as one."""

    async def claim_many(
        self, commands: Sequence[Claim]
    ) -> Sequence[Claimed | StoreError]:
        """Claim each like ``claim``, in as few trips as the store can, best in one."""


class GlancingStore(AsyncStore, Protocol):
    """An AsyncStore that can read without waiting, so that a replay needs no task."""

    def glance(self, identity: Identity) -> Claimed | None:
        """Read one record like ``find``, at once; None also when it cannot tell."""


class Watch(Protocol):
    """An ear at the end of one record."""

    @property
    def in_force(self) -> bool:
        """Whether news would be heard now; *wake* is called when this changes."""

    def close(self) -> None:
        """Listen no more. Closing twice is fine."""


class AnnouncingStore(Store, Protocol):
    """A Store that tells other processes when the work on a record has ended.

    Whoever waits opens a watch, and once that is in force has the end announced.
    News is a kindness, never a promise: it may be lost, late or for nothing, so
    whoever hears it looks, and whoever hears nothing looks now and then.
    """

    def watch(self, identity: Identity, wake: Callable[[], object]) -> Watch | None:
        """Have *wake* called, from any thread, soon after the record's end.

        It has ended when it is completed, released, unknown or settled. Does
        not wait for anything. None: nothing will tell here.
        """

    def announce(self, identity: Identity) -> bool:
        """Have the end of the work be told to those who watch; never blocks.

        False: nobody is at work now, or the record is locked: look again.
        """


class AsyncAnnouncingStore(AsyncStore, Protocol):
    """An AsyncStore that tells like AnnouncingStore."""

    def watch(self, identity: Identity, wake: Callable[[], object]) -> Watch | None:
        """Have *wake* called, from any thread, soon after the record's end."""

    async def announce(self, identity: Identity) -> bool:
        """Have the end of the work be told to those who watch; never blocks."""


class Joined(Protocol):
    """Two verbs inside a transaction that the caller began and will end.

    They see what it sees and are undone with it; nothing here commits, rolls back
    or leaves a setting of the session changed. What the driver raises of the
    caller's own transaction (a serialization failure, a deadlock) goes through as
    it is: roll back and run the whole again.

    Raises:
        ConfigurationError: no transaction is open, or it is not one of the store's
            own database; found before anything is written.
    """

    def claim(self, command: Claim, *, lock_timeout: float) -> Claimed | None:
        """Claim like ``Store.claim``, but nobody sees it before the commit.

        A duplicate waits for the transaction that holds the key, up to
        *lock_timeout* seconds; then None, and the caller's transaction goes on.
        """

    def complete(self, command: Completion) -> Record | None:
        """Store the outcome if *command.owner* still holds the key.

        Gives the record as it now is, or None when it is gone. Only when it is
        COMPLETED with that owner may the caller commit; else it rolls back.
        """


class EndedInside(ConfigurationError):
    """A transaction was ended by others than whoever began it, and not as agreed."""


class AfterCommit(Exception):
    """What was to be done after a commit raised its cause; the commit took effect."""


class Transaction(Protocol):
    """The transaction on a caller's connection, by the driver's own means.

    What the driver raises goes through as it is.
    """

    def is_open(self) -> bool:
        """Whether one was begun, by whomever."""

    def begin(self) -> None:
        """Begin one; in SQLite with the write lock."""

    def commit(self) -> None:
        """Commit what ``begin`` began.

        Raises:
            AfterCommit: that took effect, and what waited for it raised.
        """

    def rollback(self) -> None:
        """Undo what ``begin`` began."""

    def repeats(self, error: BaseException) -> bool:
        """Whether *error* says that the same may do when all is undone and run again.

        That is a serialization failure, a deadlock, a lock not got in time, or a file
        that is busy.
        """


class JoiningStore(Store, Protocol):
    """A Store in a database that effects can live in, too."""

    def joined(self, connection: Any) -> Joined:
        """Give the verbs inside the open transaction of *connection*.

        Raises:
            ConfigurationError: it is no connection that this store can join.
        """

    def transaction(self, connection: Any) -> Transaction:
        """Say how a transaction on *connection* begins and ends, by its driver.

        Raises:
            ConfigurationError: it is no connection that this store can join.
        """


class AsyncJoined(Protocol):
    """Joined for event loops."""

    async def claim(self, command: Claim, *, lock_timeout: float) -> Claimed | None:
        """Claim like ``AsyncStore.claim``, but nobody sees it before the commit."""

    async def complete(self, command: Completion) -> Record | None:
        """Store the outcome if *command.owner* still holds the key."""


class AsyncTransaction(Protocol):
    """Transaction for event loops."""

    async def is_open(self) -> bool:
        """Whether one was begun, by whomever."""

    async def begin(self) -> None:
        """Begin one."""

    async def commit(self) -> None:
        """Commit what ``begin`` began."""

    async def rollback(self) -> None:
        """Undo what ``begin`` began."""

    def repeats(self, error: BaseException) -> bool:
        """Whether *error* says that the same may do, undone and run again."""


class AsyncJoiningStore(AsyncStore, Protocol):
    """An AsyncStore in a database that effects can live in, too."""

    def joined(self, connection: Any) -> AsyncJoined:
        """Give the verbs inside the open transaction of *connection*."""

    def transaction(self, connection: Any) -> AsyncTransaction:
        """Say how a transaction on *connection* begins and ends, by its driver."""


class TokenSource(Protocol):
    """Makes owner tokens that never repeat, also over processes and forks."""

    def __call__(self) -> bytes:
        """Give a fresh token of 16 bytes."""
