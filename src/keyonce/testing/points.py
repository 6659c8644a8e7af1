# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Stores that stop at named points, for tests that crash or hold a worker there.

A point is a place in the life of a key where a process may die. Stopping at it
is done by handshake, not by sleeping: the worker says where it is and stays
there until it is killed or told to go on.
"""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from keyonce.testing.announcing import aannounced_on, announced_on, watch_on

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

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

STORE_POINTS: Final = tuple(
    f"{verb}.{when}"
    for verb in ("claim", "complete", "release", "abandon", "renew", "note")
    for when in ("before", "after")
)
EFFECT_POINTS: Final = ("effect.before", "effect.after")
POINTS: Final = STORE_POINTS + EFFECT_POINTS


def known(points: Iterable[str]) -> frozenset[str]:
    """Give *points* as a set.

    Raises:
        ValueError: one of them is no point.
    """
    chosen = frozenset(points)
    strange = sorted(chosen.difference(POINTS))
    if strange:
        raise ValueError(f"No such point: {', '.join(strange)}. See POINTS.")
    return chosen


class Gate:
    """Holds the threads of this process at *points* until it is opened.

    Call it with the name of the point that is reached. It stops once: after
    ``open`` everybody passes.
    """

    def __init__(self, *points: str) -> None:
        """Stop at *points*; without any, everybody passes."""
        self._points = known(points)
        self._reached = threading.Event()
        self._opened = threading.Event()

    def __call__(self, point: str) -> None:
        """Stay here while the gate is shut."""
        if point in self._points:
            self._reached.set()
            self._opened.wait()

    def wait(self, timeout: float = 30.0) -> bool:
        """Wait until somebody stands at the gate; False after *timeout* seconds."""
        return self._reached.wait(timeout)

    def open(self) -> None:
        """Let everybody go on."""
        self._opened.set()


class PipeGate:
    """Holds a worker process at *points* for the parent at the other end.

    Writes the point's name and a newline to the file descriptor *report*, then
    waits for one byte on *go_on*; the end of that pipe is as good.
    """

    def __init__(self, *points: str, report: int, go_on: int) -> None:
        """Stop at *points*, speaking through two inherited file descriptors."""
        self._points = known(points)
        self._report = report
        self._go_on = go_on

    def __call__(self, point: str) -> None:
        """Report *point* and stay here until told to go on."""
        if point in self._points:
            os.write(self._report, f"{point}\n".encode())
            os.read(self._go_on, 1)


class PausingStore:
    """A store that calls *reached* before and after each verb that writes.

    Before: the store has not heard of it. After: it is done, and its answer is
    on the way to the caller.
    """

    def __init__(self, store: Store, reached: Callable[[str], None]) -> None:
        """Stop in front of and behind *store* for as long as *reached* blocks."""
        self._store = store
        self._reached = reached

    @property
    def traits(self) -> Traits:
        """What the store behind is able to promise."""
        return self._store.traits

    def claim(self, command: Claim) -> Claimed:
        return self._around("claim", lambda: self._store.claim(command))

    def complete(self, command: Completion) -> Record | None:
        return self._around("complete", lambda: self._store.complete(command))

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return self._around(
            "release",
            lambda: self._store.release(identity, owner, reason, retention_for),
        )

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return self._around(
            "abandon", lambda: self._store.abandon(identity, owner, reason)
        )

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return self._around("renew", lambda: self._store.renew(identity, owner))

    def note(self, command: Note) -> bool:
        return self._around("note", lambda: self._store.note(command))

    def find(self, identity: Identity) -> Claimed | None:
        return self._store.find(identity)

    def settle(self, command: Settlement) -> Record:
        return self._store.settle(command)

    def watch(self, identity: Identity, wake: Callable[[], object]) -> Watch | None:
        return watch_on(self._store, identity, wake)

    def announce(self, identity: Identity) -> bool:
        return announced_on(self._store, identity)

    def records(self, query: Query) -> Sequence[Record]:
        return self._store.records(query)

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return self._store.audits(identity)

    def stats(self) -> StoreStats:
        return self._store.stats()

    def purge(self, limit: int = 1000) -> int:
        return self._store.purge(limit)

    def examine(self) -> Sequence[Finding]:
        return self._store.examine()

    def close(self) -> None:
        self._store.close()

    def _around(self, verb: str, call: Callable[[], R]) -> R:
        self._reached(f"{verb}.before")
        answer = call()
        self._reached(f"{verb}.after")
        return answer


class AsyncPausingStore:
    """PausingStore for event loops: *reached* blocks a thread, not the loop."""

    def __init__(self, store: AsyncStore, reached: Callable[[str], None]) -> None:
        """Stop in front of and behind *store* for as long as *reached* blocks."""
        self._store = store
        self._reached = reached

    @property
    def traits(self) -> Traits:
        """What the store behind is able to promise, save that it may wait."""
        return replace(self._store.traits, immediate=False)

    def blocking(self) -> Store:
        """Give the other face, which stops at the same points."""
        return PausingStore(self._store.blocking(), self._reached)

    async def claim(self, command: Claim) -> Claimed:
        return await self._around("claim", lambda: self._store.claim(command))

    async def complete(self, command: Completion) -> Record | None:
        return await self._around("complete", lambda: self._store.complete(command))

    async def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return await self._around(
            "release",
            lambda: self._store.release(identity, owner, reason, retention_for),
        )

    async def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return await self._around(
            "abandon", lambda: self._store.abandon(identity, owner, reason)
        )

    async def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return await self._around("renew", lambda: self._store.renew(identity, owner))

    async def note(self, command: Note) -> bool:
        return await self._around("note", lambda: self._store.note(command))

    async def find(self, identity: Identity) -> Claimed | None:
        return await self._store.find(identity)

    async def settle(self, command: Settlement) -> Record:
        return await self._store.settle(command)

    def watch(self, identity: Identity, wake: Callable[[], object]) -> Watch | None:
        return watch_on(self._store, identity, wake)

    async def announce(self, identity: Identity) -> bool:
        return await aannounced_on(self._store, identity)

    async def records(self, query: Query) -> Sequence[Record]:
        return await self._store.records(query)

    async def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return await self._store.audits(identity)

    async def stats(self) -> StoreStats:
        return await self._store.stats()

    async def purge(self, limit: int = 1000) -> int:
        return await self._store.purge(limit)

    async def examine(self) -> Sequence[Finding]:
        return await self._store.examine()

    async def close(self) -> None:
        await self._store.close()

    async def _around(self, verb: str, call: Callable[[], Awaitable[R]]) -> R:
        await asyncio.to_thread(self._reached, f"{verb}.before")
        answer = await call()
        await asyncio.to_thread(self._reached, f"{verb}.after")
        return answer
