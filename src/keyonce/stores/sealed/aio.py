# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The sealed store for event loops."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from keyonce.core.errors import RecordUnreadable
from keyonce.stores.sealed.abilities import (
    AsyncSealedJoined,
    ability,
    async_batching,
    glancing,
    joining,
)
from keyonce.stores.sealed.sealing import Sealing
from keyonce.stores.sealed.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

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
    from keyonce.core.protocols import AsyncStore, Store
    from keyonce.stores.sealed.ring import KeyRing


class AsyncSealed:
    """Sealed for event loops: outcomes are sealed and opened in the loop's thread."""

    def __init__(
        self,
        store: AsyncStore,
        ring: KeyRing,
        *,
        accept_plain_until: datetime | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Seal what goes into *store* with the current key of *ring*."""
        self._store = store
        self._sealing = Sealing(
            ring, accept_plain_until=accept_plain_until, clock=clock, nonce=os.urandom
        )
        glance = getattr(store, "glance", None)
        if glance is not None:
            self.glance = glancing(glance, self._sealing)
        claim_many = async_batching(store, self._sealing)
        if claim_many is not None:
            self.claim_many = claim_many
        joined = joining(store, self._sealing, AsyncSealedJoined)
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

    def blocking(self) -> Store:
        """Give the same records, sealed alike, to other threads."""
        return Verbs(self._store.blocking(), self._sealing)

    async def claim(self, command: Claim) -> Claimed:
        return self._sealing.claimed(await self._store.claim(command))

    async def complete(self, command: Completion) -> Record | None:
        sealed, kept = self._sealing.completion(command, self._store.traits)
        record = await self._store.complete(sealed)
        return self._sealing.completed(record, sealed, kept)

    async def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return await self._store.release(identity, owner, reason, retention_for)

    async def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return await self._store.abandon(identity, owner, reason)

    async def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return self._sealing.renewed(await self._store.renew(identity, owner))

    async def note(self, command: Note) -> bool:
        return await self._store.note(self._sealing.noted(command))

    async def find(self, identity: Identity) -> Claimed | None:
        return self._sealing.found(await self._store.find(identity))

    async def find_shut(self, identity: Identity) -> Claimed | None:
        """Find the record as the store beneath holds it, its outcome unopened."""
        return await self._store.find(identity)

    async def settle(self, command: Settlement) -> Record:
        found = await self._met(command.identity)
        sealed = self._sealing.settlement(command, found, self._store.traits)
        return self._sealing.settled(await self._store.settle(sealed))

    async def _met(self, identity: Identity) -> Claimed | None:
        try:
            return await self._store.find(identity)
        except RecordUnreadable:  # the store beneath settles that
            return None

    async def records(self, query: Query) -> Sequence[Record]:
        return await self._store.records(query)

    async def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return await self._store.audits(identity)

    async def stats(self) -> StoreStats:
        return await self._store.stats()

    async def purge(self, limit: int = 1000) -> int:
        return await self._store.purge(limit)

    async def examine(self) -> Sequence[Finding]:
        return [*await self._store.examine(), *self._sealing.findings()]

    async def close(self) -> None:
        """Close the store beneath."""
        await self._store.close()
