# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The tiered store for event loops."""

from __future__ import annotations

import time
from datetime import timedelta
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from keyonce.core.flow import arun, run
from keyonce.stores.tiered import procedures
from keyonce.stores.tiered.findings import PROBE, answered, silent
from keyonce.stores.tiered.opening import shelf_of, tiered_traits
from keyonce.stores.tiered.seals import NO_KEYS
from keyonce.stores.tiered.words import (
    Claiming,
    Completing,
    Drop,
    Finding,
    Glancing,
    Look,
    Put,
    Settling,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from keyonce.core.events import Observer
    from keyonce.core.model import (
        AuditRow,
        Claim,
        Claimed,
        Completion,
        Identity,
        Note,
        Query,
        Record,
        Settlement,
        StoreStats,
        Traits,
    )
    from keyonce.core.model import Finding as Found
    from keyonce.core.protocols import AsyncStore, Store
    from keyonce.stores.tiered.cache import AsyncCache, Cache
    from keyonce.stores.tiered.words import CacheWord, Procedure, Word

R = TypeVar("R")

HOLD_FOR: Final = timedelta(hours=1)


class AsyncTiered:
    """Tiered for event loops.

    *fast* is an AsyncCache, or a MemoryCache: with that a replay is answered at
    once, without a task. Other threads are given the durable store itself.
    """

    def __init__(
        self,
        fast: AsyncCache | Cache,
        durable: AsyncStore,
        *,
        keys: Mapping[str, bytes] = NO_KEYS,
        current_key: str | None = None,
        prefix: str | None = None,
        hold_for: timedelta = HOLD_FOR,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Put *fast* in front of *durable*; nothing is asked yet."""
        self._traits = tiered_traits(durable.traits)
        self._shelf = shelf_of(
            fast,
            self._traits,
            keys=keys,
            current_key=current_key,
            prefix=prefix,
            hold_for=hold_for.total_seconds(),
            clock=clock,
        )
        self._fast: Any = fast
        self._durable = durable
        self._glance: Callable[[Identity], Claimed | None] | None = getattr(
            durable, "glance", None
        )
        at_once = dict.fromkeys((Look, Put, Drop), self._at_once)
        self._immediately: Mapping[Any, Callable[[Any], Any]] = (
            at_once if fast.immediate else {}
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Give what the durable store can do beyond the verbs."""
            if name.startswith("_"):
                raise AttributeError(name)
            return getattr(self._durable, name)

    @property
    def traits(self) -> Traits:
        """What the durable store is able to promise."""
        return self._traits

    def blocking(self) -> Store:
        """Give the durable records to other threads; closed with this store."""
        return self._durable.blocking()

    def glance(self, identity: Identity) -> Claimed | None:
        if not self._immediately:
            return None if self._glance is None else self._glance(identity)
        return run(procedures.glance(self._shelf, identity), self._at_once)

    @property
    def counts(self) -> Mapping[str, int]:
        """How often the cache had an answer, had none, was wrong, or failed."""
        return dict(self._shelf.standing.counts)

    def observed_by(self, observer: Observer) -> None:
        """Let *observer* hear what the cache answers."""
        self._shelf.standing.tell(observer)

    async def claim(self, command: Claim) -> Claimed:
        return await self._run(procedures.claim(self._shelf, command))

    async def complete(self, command: Completion) -> Record | None:
        return await self._run(procedures.complete(self._shelf, command))

    async def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return await self._durable.release(identity, owner, reason, retention_for)

    async def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return await self._durable.abandon(identity, owner, reason)

    async def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return await self._durable.renew(identity, owner)

    async def note(self, command: Note) -> bool:
        return await self._durable.note(command)

    async def find(self, identity: Identity) -> Claimed | None:
        return await self._run(procedures.find(self._shelf, identity))

    async def settle(self, command: Settlement) -> Record:
        return await self._run(procedures.settle(self._shelf, command))

    async def records(self, query: Query) -> Sequence[Record]:
        return await self._durable.records(query)

    async def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return await self._durable.audits(identity)

    async def stats(self) -> StoreStats:
        return await self._durable.stats()

    async def purge(self, limit: int = 1000) -> int:
        return await self._durable.purge(limit)

    async def examine(self) -> Sequence[Found]:
        return [*await self._durable.examine(), await self._examine_cache()]

    async def close(self) -> None:
        """Close both tiers."""
        try:
            await _maybe(self._fast.close())
        finally:
            await self._durable.close()

    async def _run(self, procedure: Procedure[R]) -> R:
        return await arun(procedure, self._perform, self._immediately)

    def _perform(self, word: Word) -> Awaitable[Any]:
        match word:
            case Look() | Put() | Drop():
                return self._aside(word)
            case Claiming(command):
                return self._durable.claim(command)
            case Completing(completion):
                return self._durable.complete(completion)
            case Finding(identity):
                return self._durable.find(identity)
            case Settling(settlement):
                return self._durable.settle(settlement)
        raise TypeError(word)

    async def _aside(self, word: CacheWord) -> Any:
        """Ask the cache; whatever goes wrong there is nobody's concern."""
        standing = self._shelf.standing
        if not standing.may_be_asked():
            return None
        try:
            answer = await self._ask(word)
        except Exception:  # noqa: BLE001 - any cache's
            standing.failed()
            return None
        standing.worked()
        return answer

    def _at_once(self, word: Word) -> Any:
        """Do what can be done without waiting; None for the rest."""
        if isinstance(word, Glancing):
            return None if self._glance is None else self._glance(word.identity)
        standing = self._shelf.standing
        if not standing.may_be_asked():
            return None
        try:
            answer = self._ask(word)
        except Exception:  # noqa: BLE001 - any cache's
            standing.failed()
            return None
        standing.worked()
        return answer

    def _ask(self, word: Word) -> Any:
        match word:
            case Look(name):
                return self._fast.get(name)
            case Put(name, entry, seconds):
                return self._fast.put(name, entry, seconds)
            case Drop(name):
                return self._fast.drop(name)
        raise TypeError(word)

    async def _examine_cache(self) -> Found:
        fast, probe = self._fast, self._shelf.probe
        began = time.monotonic()
        try:
            await _maybe(fast.put(probe, PROBE, 1.0))
            came_back = await _maybe(fast.get(probe)) == PROBE
        except Exception as error:  # noqa: BLE001 - any cache's
            return silent(error)
        took = time.monotonic() - began
        return answered(fast, took, signed=self._shelf.seals.keyed, came_back=came_back)


async def _maybe(answer: Any) -> Any:
    """Wait for *answer*, unless it is there already."""
    return await answer if isawaitable(answer) else answer
