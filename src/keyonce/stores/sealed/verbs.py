# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs with sealed outcomes, for threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyonce.core.errors import RecordUnreadable
from keyonce.stores.sealed.abilities import SealedJoined, ability, batching, joining

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    from keyonce.core.protocols import Store
    from keyonce.stores.sealed.sealing import Sealing


class Verbs:
    """A store over *store* in which outcomes are sealed by *sealing*."""

    def __init__(self, store: Store, sealing: Sealing) -> None:
        """Seal what goes into *store*."""
        self._store = store
        self._sealing = sealing
        claim_many = batching(store, sealing)
        if claim_many is not None:
            self.claim_many = claim_many
        joined = joining(store, sealing, SealedJoined)
        if joined is not None:
            self.joined = joined

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Give what the store beneath can do beyond the verbs."""
            return ability(self._store, name)

    @property
    def traits(self) -> Traits:
        """What the store beneath is able to promise; its bodies are a bit smaller."""
        return self._sealing.traits(self._store.traits)

    def claim(self, command: Claim) -> Claimed:
        return self._sealing.claimed(self._store.claim(command))

    def complete(self, command: Completion) -> Record | None:
        sealed, kept = self._sealing.completion(command, self._store.traits)
        record = self._store.complete(sealed)
        return self._sealing.completed(record, sealed, kept)

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return self._store.release(identity, owner, reason, retention_for)

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return self._store.abandon(identity, owner, reason)

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return self._sealing.renewed(self._store.renew(identity, owner))

    def note(self, command: Note) -> bool:
        return self._store.note(self._sealing.noted(command))

    def find(self, identity: Identity) -> Claimed | None:
        return self._sealing.found(self._store.find(identity))

    def find_shut(self, identity: Identity) -> Claimed | None:
        """Find the record as the store beneath holds it, its outcome unopened."""
        return self._store.find(identity)

    def settle(self, command: Settlement) -> Record:
        found = self._met(command.identity)
        sealed = self._sealing.settlement(command, found, self._store.traits)
        return self._sealing.settled(self._store.settle(sealed))

    def _met(self, identity: Identity) -> Claimed | None:
        try:
            return self._store.find(identity)
        except RecordUnreadable:  # the store beneath settles that
            return None

    def records(self, query: Query) -> Sequence[Record]:
        return self._store.records(query)

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return self._store.audits(identity)

    def stats(self) -> StoreStats:
        return self._store.stats()

    def purge(self, limit: int = 1000) -> int:
        return self._store.purge(limit)

    def examine(self) -> Sequence[Finding]:
        return [*self._store.examine(), *self._sealing.findings()]

    def close(self) -> None:
        """Close the store beneath."""
        self._store.close()
