# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The tiered store for threads."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.flow import run
from keyonce.stores.tiered import procedures
from keyonce.stores.tiered.findings import PROBE, answered, silent
from keyonce.stores.tiered.opening import shelf_of, tiered_traits
from keyonce.stores.tiered.seals import NO_KEYS
from keyonce.stores.tiered.words import (
    Claiming,
    Completing,
    Drop,
    Finding,
    Look,
    Put,
    Settling,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
    from keyonce.core.protocols import Store
    from keyonce.stores.tiered.cache import Cache
    from keyonce.stores.tiered.words import Word

HOLD_FOR: Final = timedelta(hours=1)


class Tiered:
    """A cache of completed outcomes in front of a store that decides everything.

    *fast* may lose, mix up or forge whatever it likes: that costs time, never an
    execution or another's answer. A cache that others can write to needs *keys* by
    their id and a *current_key*; keep a retired one for *hold_for*, the time after
    which an entry is read anew. In such a cache each *durable* store needs a
    *prefix* of its own, the same in every process. Both tiers are closed with this
    store. What else the durable one can do is found here under the same name.
    *clock* says how time passes, for tests.

    Raises:
        ConfigurationError: a shared cache without a key or a prefix, or before a
            sealed store, or a setting that cannot work.
    """

    def __init__(
        self,
        fast: Cache,
        durable: Store,
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
        self._fast = fast
        self._durable = durable

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

    @property
    def counts(self) -> Mapping[str, int]:
        """How often the cache had an answer, had none, was wrong, or failed."""
        return dict(self._shelf.standing.counts)

    def observed_by(self, observer: Observer) -> None:
        """Let *observer* hear what the cache answers."""
        self._shelf.standing.tell(observer)

    def claim(self, command: Claim) -> Claimed:
        return run(procedures.claim(self._shelf, command), self._perform)

    def complete(self, command: Completion) -> Record | None:
        return run(procedures.complete(self._shelf, command), self._perform)

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return self._durable.release(identity, owner, reason, retention_for)

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return self._durable.abandon(identity, owner, reason)

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return self._durable.renew(identity, owner)

    def note(self, command: Note) -> bool:
        return self._durable.note(command)

    def find(self, identity: Identity) -> Claimed | None:
        return run(procedures.find(self._shelf, identity), self._perform)

    def settle(self, command: Settlement) -> Record:
        return run(procedures.settle(self._shelf, command), self._perform)

    def records(self, query: Query) -> Sequence[Record]:
        return self._durable.records(query)

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return self._durable.audits(identity)

    def stats(self) -> StoreStats:
        return self._durable.stats()

    def purge(self, limit: int = 1000) -> int:
        return self._durable.purge(limit)

    def examine(self) -> Sequence[Found]:
        return [*self._durable.examine(), self._examine_cache()]

    def close(self) -> None:
        """Close both tiers."""
        try:
            self._fast.close()
        finally:
            self._durable.close()

    def _perform(self, word: Word) -> Any:
        match word:
            case Look(name):
                return self._aside(self._fast.get, name)
            case Put(name, entry, seconds):
                return self._aside(self._fast.put, name, entry, seconds)
            case Drop(name):
                return self._aside(self._fast.drop, name)
            case Claiming(command):
                return self._durable.claim(command)
            case Completing(completion):
                return self._durable.complete(completion)
            case Finding(identity):
                return self._durable.find(identity)
            case Settling(settlement):
                return self._durable.settle(settlement)
        raise TypeError(word)

    def _aside(self, ask: Callable[..., Any], *args: Any) -> Any:
        """Ask the cache; whatever goes wrong there is nobody's concern."""
        standing = self._shelf.standing
        if not standing.may_be_asked():
            return None
        try:
            answer = ask(*args)
        except Exception:  # noqa: BLE001 - any cache's
            standing.failed()
            return None
        standing.worked()
        return answer

    def _examine_cache(self) -> Found:
        fast, probe = self._fast, self._shelf.probe
        began = time.monotonic()
        try:
            fast.put(probe, PROBE, 1.0)
            came_back = fast.get(probe) == PROBE
        except Exception as error:  # noqa: BLE001 - any cache's
            return silent(error)
        took = time.monotonic() - began
        return answered(fast, took, signed=self._shelf.seals.keyed, came_back=came_back)
