# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Records in the memory of one process: nothing outlives it, nobody shares it."""

from __future__ import annotations

import os
import threading
import time
from heapq import heappop, heappush
from itertools import count, islice
from typing import TYPE_CHECKING, Final

from keyonce.core import transitions
from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Claimed, Finding, StoreStats, Traits
from keyonce.core.states import Status
from keyonce.stores.news import Wakes
from keyonce.stores.shell import audit_of, counted_as, has_expired, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyonce.core.model import (
        AuditRow,
        Claim,
        Completion,
        Identity,
        Note,
        Query,
        Record,
        Settlement,
    )
    from keyonce.core.transitions import Change

TRAITS: Final = Traits(
    name="memory",
    guarantees=frozenset(Guarantee) - {Guarantee.EXACTLY_ONCE},
    durable=False,
    many_processes=False,
    immediate=True,
)
AUDITS_KEPT: Final = 10_000
PURGED_BY_A_WRITE: Final = 2


class MemoryStore:
    """A store for one process, for tests and for work that a restart ends.

    Every write also purges a little, so that memory stays bounded without a
    thread. With *store* it is a second face on the records of another.
    """

    def __init__(
        self,
        store: MemoryStore | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start empty, or on the records of *store* and then by its clock."""
        self._shelf: _Shelf = (
            _Shelf(clock) if store is None else store._shelf  # noqa: SLF001 - same class
        )

    @property
    def traits(self) -> Traits:
        """What memory is able to promise."""
        return TRAITS

    def claim(self, command: Claim) -> Claimed:
        shelf = self._shelf.mine()
        identity = command.identity
        with shelf.lock:
            now = shelf.clock()
            stored = shelf.records.get(identity)
            record, written = transitions.claim(stored, command, now)
            if written:
                shelf.records[identity] = record
        if written:
            shelf.tell(record)
        return Claimed(record, now)

    def complete(self, command: Completion) -> Record | None:
        shelf = self._shelf.mine()
        with shelf.lock:
            now = shelf.clock()
            stored = shelf.records.get(command.identity)
            change = transitions.complete(stored, command, now)
            if change is None:
                return None
            record, written = change
            if written:
                shelf.write(record)
                shelf.purge(now, PURGED_BY_A_WRITE)
        shelf.tell(record)
        return record

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        freed = self._shelf.change(
            identity,
            lambda stored, now: transitions.release(
                stored, owner, reason, retention_for, now
            ),
        )
        return freed is not None

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        left = self._shelf.change(
            identity,
            lambda stored, now: transitions.abandon(stored, owner, reason, now),
        )
        return left is not None

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return self._shelf.change(
            identity, lambda stored, now: transitions.renew(stored, owner, now)
        )

    def note(self, command: Note) -> bool:
        noted = self._shelf.change(
            command.identity, lambda stored, _now: transitions.note(stored, command)
        )
        return noted is not None

    def find(self, identity: Identity) -> Claimed | None:
        shelf = self._shelf.mine()
        stored = shelf.records.get(identity)
        if stored is None:
            return None
        now = shelf.clock()
        record = transitions.standing(stored, now)
        return None if record is None else Claimed(record, now)

    def settle(self, command: Settlement) -> Record:
        shelf = self._shelf.mine()
        with shelf.lock:
            now = shelf.clock()
            stored = shelf.records.get(command.identity)
            if command.forgets:
                record = transitions.forget(stored, command, now)
                del shelf.records[command.identity]
            else:
                record = transitions.settle(stored, command, now).record
                shelf.write(record)
            shelf.audits.append(audit_of(command, stored, now))
            del shelf.audits[:-AUDITS_KEPT]
        shelf.tell(record)
        return record

    def watch(self, identity: Identity, wake: Callable[[], object]) -> MemoryWatch:
        """Have *wake* called at the end of the record; it always is."""
        return MemoryWatch(self._shelf.mine().wakes, identity, wake)

    def announce(self, identity: Identity) -> bool:
        record = self._shelf.mine().records.get(identity)
        return record is not None and record.status is Status.IN_PROGRESS

    def records(self, query: Query) -> Sequence[Record]:
        everything, now = self._shelf.mine().everything()
        everything.sort(key=lambda record: record.identity)
        return list(islice(listed(everything, query, now), query.limit))

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        rows = reversed(self._shelf.mine().audits.copy())
        return [row for row in rows if identity in (None, row.identity)]

    def stats(self) -> StoreStats:
        everything, now = self._shelf.mine().everything()
        counts: dict[Status, int] = {}
        oldest: dict[Status, float] = {}
        expired = 0
        for record in everything:
            status = counted_as(record, now)
            expired += has_expired(record, now)
            counts[status] = counts.get(status, 0) + 1
            oldest[status] = min(oldest.get(status, now), record.claimed_at)
        return StoreStats(counts, oldest, None, now, expired)

    def purge(self, limit: int = 1000) -> int:
        shelf = self._shelf.mine()
        with shelf.lock:
            return shelf.purge(shelf.clock(), limit)

    def examine(self) -> Sequence[Finding]:
        self._shelf.mine()
        return [
            Finding(
                level="warning",
                subject="durability",
                detail="Records live in the memory of one process and end with it.",
                mend="Use 'sqlite:///keyonce.db' to keep them over a restart.",
            )
        ]

    def close(self) -> None:
        """Do nothing: memory goes with the object."""


class AsyncMemoryStore:
    """MemoryStore for a loop: every verb answers at once, none waits."""

    def __init__(
        self,
        store: MemoryStore | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start empty, or on the records of *store* and then by its clock."""
        self._store = MemoryStore(clock=clock) if store is None else store

    @property
    def traits(self) -> Traits:
        """What memory is able to promise."""
        return TRAITS

    def blocking(self) -> MemoryStore:
        """Give the store beneath."""
        return self._store

    def glance(self, identity: Identity) -> Claimed | None:
        return self._store.find(identity)

    async def claim(self, command: Claim) -> Claimed:
        return self._store.claim(command)

    async def complete(self, command: Completion) -> Record | None:
        return self._store.complete(command)

    async def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return self._store.release(identity, owner, reason, retention_for)

    async def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return self._store.abandon(identity, owner, reason)

    async def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return self._store.renew(identity, owner)

    async def note(self, command: Note) -> bool:
        return self._store.note(command)

    async def find(self, identity: Identity) -> Claimed | None:
        return self._store.find(identity)

    async def settle(self, command: Settlement) -> Record:
        return self._store.settle(command)

    def watch(self, identity: Identity, wake: Callable[[], object]) -> MemoryWatch:
        return self._store.watch(identity, wake)

    async def announce(self, identity: Identity) -> bool:
        return self._store.announce(identity)

    async def records(self, query: Query) -> Sequence[Record]:
        return self._store.records(query)

    async def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return self._store.audits(identity)

    async def stats(self) -> StoreStats:
        return self._store.stats()

    async def purge(self, limit: int = 1000) -> int:
        return self._store.purge(limit)

    async def examine(self) -> Sequence[Finding]:
        return self._store.examine()

    async def close(self) -> None:
        self._store.close()


class MemoryWatch:
    """One ear at one record."""

    __slots__ = ("_identity", "_wakes")

    def __init__(
        self, wakes: Wakes, identity: Identity, wake: Callable[[], object]
    ) -> None:
        """Be woken at the end of the record of *identity*."""
        self._wakes = wakes
        self._identity = identity
        wakes.add(identity, self, wake)

    @property
    def in_force(self) -> bool:
        """Always: news comes from this process."""
        return True

    def close(self) -> None:
        """Listen no more."""
        self._wakes.remove(self._identity, self)


class _Shelf:
    """The records, one lock, and a heap of what is to be purged when."""

    __slots__ = (
        "audits",
        "clock",
        "due",
        "lock",
        "order",
        "pid",
        "records",
        "wakes",
    )

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.records: dict[Identity, Record] = {}
        self.audits: list[AuditRow] = []
        self.due: list[tuple[float, int, Identity]] = []
        self.order = count()
        self.lock = threading.Lock()
        self.wakes = Wakes()
        self.pid = os.getpid()

    def mine(self) -> _Shelf:
        """Give itself, but only in its own process."""
        if self.pid != os.getpid():
            raise ConfigurationError(
                f"This MemoryStore belongs to process {self.pid}: a fork has a copy "
                "that sees nothing of the original. Run one worker and make the "
                "store in it, or share records with 'sqlite:///keyonce.db'."
            )
        return self

    def change(
        self,
        identity: Identity,
        rule: Callable[[Record | None, float], Change | None],
    ) -> Record | None:
        """Apply *rule* to one record."""
        self.mine()
        with self.lock:
            now = self.clock()
            change = rule(self.records.get(identity), now)
            if change is None:
                return None
            if change.written:
                self.write(change.record)
                self.purge(now, PURGED_BY_A_WRITE)
        self.tell(change.record)
        return change.record

    def tell(self, record: Record) -> None:
        """Wake those who wait for the end of *record*, if this is it."""
        if self.wakes and record.status is not Status.IN_PROGRESS:
            self.wakes.wake(record.identity)

    def everything(self) -> tuple[list[Record], float]:
        """Give all records of one moment, and that moment."""
        with self.lock:
            return list(self.records.values()), self.clock()

    def write(self, record: Record) -> None:
        """Keep *record*, and remember when it expires."""
        self.records[record.identity] = record
        if record.expires_at is not None:
            heappush(self.due, (record.expires_at, next(self.order), record.identity))

    def purge(self, now: float, limit: int) -> int:
        """Take at most *limit* expired records off the heap."""
        if not self.due or self.due[0][0] > now:
            return 0
        purged = 0
        for _ in range(4 * limit):  # some entries are of records claimed again
            if purged == limit or not self.due or self.due[0][0] > now:
                break
            purged += self._purge_one(heappop(self.due)[2], now)
        return purged

    def _purge_one(self, identity: Identity, now: float) -> bool:
        record = self.records.get(identity)
        if record is None:
            return False
        left = transitions.purge(record, now)
        if left is record:
            return False
        if left is None:
            del self.records[identity]
        else:
            self.write(left)
        return True
