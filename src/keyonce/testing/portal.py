# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""An async store as threads see it: every call goes to a loop of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from keyonce.testing.announcing import aannounced_on, watch_on

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

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
    from keyonce.core.protocols import AsyncStore, Store, Watch

R = TypeVar("R")


class StorePortal:
    """Makes a Store of an AsyncStore, so that one suite fits both.

    For tests: a call costs two hops between threads.
    """

    def __init__(self, store: AsyncStore) -> None:
        """Run a loop for *store* in a thread, until `close`."""
        self._store = store
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        if hasattr(store, "claim_many"):
            self.claim_many = self._claim_many

    @property
    def traits(self) -> Traits:
        """What the store is able to promise."""
        return self._store.traits

    def blocking(self) -> Store:
        """Give the store that the async one gives to other threads."""
        return self._store.blocking()

    def claim(self, command: Claim) -> Claimed:
        return self._wait_for(self._store.claim(command))

    def complete(self, command: Completion) -> Record | None:
        return self._wait_for(self._store.complete(command))

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return self._wait_for(
            self._store.release(identity, owner, reason, retention_for)
        )

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return self._wait_for(self._store.abandon(identity, owner, reason))

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return self._wait_for(self._store.renew(identity, owner))

    def note(self, command: Note) -> bool:
        return self._wait_for(self._store.note(command))

    def find(self, identity: Identity) -> Claimed | None:
        return self._wait_for(self._store.find(identity))

    def settle(self, command: Settlement) -> Record:
        return self._wait_for(self._store.settle(command))

    def watch(self, identity: Identity, wake: Callable[[], object]) -> Watch | None:
        return watch_on(self._store, identity, wake)

    def announce(self, identity: Identity) -> bool:
        return self._wait_for(aannounced_on(self._store, identity))

    def records(self, query: Query) -> Sequence[Record]:
        return self._wait_for(self._store.records(query))

    def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return self._wait_for(self._store.audits(identity))

    def stats(self) -> StoreStats:
        return self._wait_for(self._store.stats())

    def purge(self, limit: int = 1000) -> int:
        return self._wait_for(self._store.purge(limit))

    def examine(self) -> Sequence[Finding]:
        return self._wait_for(self._store.examine())

    def close(self) -> None:
        """Close the store and end the loop."""
        if self._loop.is_closed():
            return
        self._wait_for(self._store.close())
        self._wait_for(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _claim_many(self, commands: Sequence[Claim]) -> Sequence[Claimed | StoreError]:
        store: Any = self._store
        work: Coroutine[Any, Any, Sequence[Claimed | StoreError]] = store.claim_many(
            commands
        )
        return self._wait_for(work)

    def _wait_for(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
