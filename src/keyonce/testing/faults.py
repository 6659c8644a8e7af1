# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Stores that fail on purpose, at the call a test chooses."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from keyonce.core.errors import StoreUnavailable
from keyonce.testing.announcing import aannounced_on, announced_on, watch_on

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

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
    from keyonce.core.protocols import AsyncStore, Store, Watch

R = TypeVar("R")


class Mishap(Enum):
    """What happens to a call.

    - LOST_REQUEST: it raises, and the store never heard of it.
    - LOST_REPLY: it raises, and the store has carried it out.
    - HUNG_REQUEST: as LOST_REQUEST, and it raises only after a while.
    - HUNG_REPLY: as LOST_REPLY, and it raises only after a while.
    - DOUBLED: the store carries it out twice; the caller hears the second answer.
    """

    LOST_REQUEST = "lost-request"
    LOST_REPLY = "lost-reply"
    HUNG_REQUEST = "hung-request"
    HUNG_REPLY = "hung-reply"
    DOUBLED = "doubled"


@dataclass(frozen=True, slots=True)
class Fault:
    """The *nth* call of *verb* meets *mishap*, and *times* - 1 calls after it.

    Without a *verb* all calls count; without *times* it never gets better.
    """

    mishap: Mishap = Mishap.LOST_REQUEST
    verb: str | None = None
    nth: int = 1
    times: int | None = 1

    def meets(self, verb: str, calls: Sequence[str]) -> bool:
        """Whether the last of *calls*, a *verb*, is one of those to fail."""
        if self.verb not in (None, verb):
            return False
        count = len(calls) if self.verb is None else calls.count(verb)
        return self.nth <= count and (
            self.times is None or count < self.nth + self.times
        )


class FaultPlan:
    """Which calls fail; shared by the faces of one store.

    *calls* are the verbs called so far; *met* counts the calls that failed, so
    that a test can go on until a run meets no fault. A call that hangs does so for
    *hangs_for* seconds.
    """

    def __init__(self, *faults: Fault, hangs_for: float = 1.0) -> None:
        """Follow *faults*; the first that fits a call is taken."""
        self.faults = list(faults)
        self.hangs_for = hangs_for
        self.calls: list[str] = []
        self.met = 0

    def heal(self) -> None:
        """Let every later call succeed."""
        self.faults.clear()

    def next(self, verb: str) -> Mishap | None:
        """Count one call of *verb* and say what becomes of it."""
        self.calls.append(verb)
        for fault in self.faults:
            if fault.meets(verb, self.calls):
                self.met += 1
                return fault.mishap
        return None


class FaultyStore:
    """A store behind a line that fails as planned.

    What joins a caller's transaction is behind it, too; begin and commit are not.
    """

    def __init__(self, store: Store, plan: FaultPlan) -> None:
        """Put *plan* in front of *store*."""
        self._store = store
        self._plan = plan
        joining: Any = store
        if hasattr(store, "joined"):
            self.transaction = joining.transaction
            self.joined = lambda connection: _FaultyJoined(
                joining.joined(connection), self._through
            )

    @property
    def traits(self) -> Traits:
        """What the store behind is able to promise."""
        return self._store.traits

    def claim(self, command: Claim) -> Claimed:
        return self._through("claim", lambda: self._store.claim(command))

    def complete(self, command: Completion) -> Record | None:
        return self._through("complete", lambda: self._store.complete(command))

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return self._through(
            "release",
            lambda: self._store.release(identity, owner, reason, retention_for),
        )

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return self._through(
            "abandon", lambda: self._store.abandon(identity, owner, reason)
        )

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return self._through("renew", lambda: self._store.renew(identity, owner))

    def note(self, command: Note) -> bool:
        return self._through("note", lambda: self._store.note(command))

    def find(self, identity: Identity) -> Claimed | None:
        return self._through("find", lambda: self._store.find(identity))

    def settle(self, command: Settlement) -> Record:
        return self._through("settle", lambda: self._store.settle(command))

    def watch(self, identity: Identity, wake: Callable[[], object]) -> Watch | None:
        return watch_on(self._store, identity, wake)

    def announce(self, identity: Identity) -> bool:
        return self._through("announce", lambda: announced_on(self._store, identity))

    def records(self, query: Query) -> Sequence[Record]:
        return self._through("records", lambda: self._store.records(query))

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return self._through("audits", lambda: self._store.audits(identity))

    def stats(self) -> StoreStats:
        return self._through("stats", self._store.stats)

    def purge(self, limit: int = 1000) -> int:
        return self._through("purge", lambda: self._store.purge(limit))

    def examine(self) -> Sequence[Finding]:
        return self._through("examine", self._store.examine)

    def close(self) -> None:
        self._store.close()

    def _through(self, verb: str, call: Callable[[], R]) -> R:
        match self._plan.next(verb):
            case Mishap.LOST_REQUEST:
                raise _unavailable(verb)
            case Mishap.LOST_REPLY:
                call()
                raise _unavailable(verb)
            case Mishap.HUNG_REQUEST:
                threading.Event().wait(self._plan.hangs_for)
                raise _unavailable(verb)
            case Mishap.HUNG_REPLY:
                call()
                threading.Event().wait(self._plan.hangs_for)
                raise _unavailable(verb)
            case Mishap.DOUBLED:
                call()
        return call()


class AsyncFaultyStore:
    """An async store behind a line that fails as planned, like FaultyStore."""

    def __init__(self, store: AsyncStore, plan: FaultPlan) -> None:
        """Put *plan* in front of *store*."""
        self._store = store
        self._plan = plan
        joining: Any = store
        if hasattr(store, "joined"):
            self.transaction = joining.transaction
            self.joined = lambda connection: _FaultyJoined(
                joining.joined(connection), self._through
            )

    @property
    def traits(self) -> Traits:
        """What the store behind is able to promise."""
        return self._store.traits

    def blocking(self) -> Store:
        """Give the other face, behind the same line."""
        return FaultyStore(self._store.blocking(), self._plan)

    async def claim(self, command: Claim) -> Claimed:
        return await self._through("claim", lambda: self._store.claim(command))

    async def complete(self, command: Completion) -> Record | None:
        return await self._through("complete", lambda: self._store.complete(command))

    async def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return await self._through(
            "release",
            lambda: self._store.release(identity, owner, reason, retention_for),
        )

    async def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return await self._through(
            "abandon", lambda: self._store.abandon(identity, owner, reason)
        )

    async def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return await self._through("renew", lambda: self._store.renew(identity, owner))

    async def note(self, command: Note) -> bool:
        return await self._through("note", lambda: self._store.note(command))

    async def find(self, identity: Identity) -> Claimed | None:
        return await self._through("find", lambda: self._store.find(identity))

    async def settle(self, command: Settlement) -> Record:
        return await self._through("settle", lambda: self._store.settle(command))

    def watch(self, identity: Identity, wake: Callable[[], object]) -> Watch | None:
        return watch_on(self._store, identity, wake)

    async def announce(self, identity: Identity) -> bool:
        return await self._through(
            "announce", lambda: aannounced_on(self._store, identity)
        )

    async def records(self, query: Query) -> Sequence[Record]:
        return await self._through("records", lambda: self._store.records(query))

    async def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return await self._through("audits", lambda: self._store.audits(identity))

    async def stats(self) -> StoreStats:
        return await self._through("stats", self._store.stats)

    async def purge(self, limit: int = 1000) -> int:
        return await self._through("purge", lambda: self._store.purge(limit))

    async def examine(self) -> Sequence[Finding]:
        return await self._through("examine", self._store.examine)

    async def close(self) -> None:
        await self._store.close()

    async def _through(self, verb: str, call: Callable[[], Awaitable[R]]) -> R:
        match self._plan.next(verb):
            case Mishap.LOST_REQUEST:
                raise _unavailable(verb)
            case Mishap.LOST_REPLY:
                await call()
                raise _unavailable(verb)
            case Mishap.HUNG_REQUEST:
                await asyncio.sleep(self._plan.hangs_for)
                raise _unavailable(verb)
            case Mishap.HUNG_REPLY:
                await call()
                await asyncio.sleep(self._plan.hangs_for)
                raise _unavailable(verb)
            case Mishap.DOUBLED:
                await call()
        return await call()


class _FaultyJoined:
    """The two verbs inside a caller's transaction, for threads and loops alike."""

    def __init__(self, joined: Any, through: Callable[..., Any]) -> None:
        """Carry them *through* the line."""
        self._joined = joined
        self._through = through

    def claim(self, command: Claim, *, lock_timeout: float) -> Any:
        return self._through(
            "claim", lambda: self._joined.claim(command, lock_timeout=lock_timeout)
        )

    def complete(self, command: Completion) -> Any:
        return self._through("complete", lambda: self._joined.complete(command))


def _unavailable(verb: str) -> StoreUnavailable:
    return StoreUnavailable(f"The store did not answer {verb}: a planned fault.")
