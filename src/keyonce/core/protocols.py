# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the engine asks of the rooms around it.

Every store verb is one atomic step, guarded by the owner token, on the store's
own clock. A store raises StoreUnavailable when it cannot answer; repeating the
same command with the same token is then safe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.core.model import (
        AuditRow,
        Claim,
        Claimed,
        Completion,
        Finding,
        Identity,
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

    def find(self, identity: Identity) -> Claimed | None:
        """Read one record with its result, seen through retention."""

    def settle(self, command: Settlement) -> Record:
        """Resolve or release an unknown record, leaving an audit row.

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

    async def find(self, identity: Identity) -> Claimed | None:
        """Read one record with its result, seen through retention."""

    async def settle(self, command: Settlement) -> Record:
        """Resolve or release an unknown record, leaving an audit row."""

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


class GlancingStore(AsyncStore, Protocol):
    """An AsyncStore that can read without waiting, so that a replay needs no task."""

    def glance(self, identity: Identity) -> Claimed | None:
        """Read one record like ``find``, at once; None also when it cannot tell."""


class TokenSource(Protocol):
    """Makes owner tokens that never repeat, also over processes and forks."""

    def __call__(self) -> bytes:
        """Give a fresh token of 16 bytes."""
