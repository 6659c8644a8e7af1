# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One text for both guards: a world of threads, and a world of one event loop.

A world has one store, any number of guards on it (each as another process would
have), and starts what it is told to without waiting for it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Protocol

from keyonce.core.decide import Decision, Proceed
from keyonce.core.ending import Ending
from keyonce.core.events import Event
from keyonce.core.model import Attempt, Claimed, Lease, Record
from keyonce.core.policy import Policy
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.finished import Finished
from keyonce.engine.sync import Guard
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.testing.faults import AsyncFaultyStore, FaultPlan, FaultyStore
from keyonce.testing.points import AsyncPausingStore
from tests.engine.samples import identity, policy

SOON = 20.0


class Listening:
    """Remembers every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notify(self, event: Event, /) -> None:
        self.events.append(event)

    def heard(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Face(Protocol):
    """What differs between threads and loops."""

    def guard(self, memory: MemoryStore, plan: FaultPlan, **settings: Any) -> Any: ...

    def start(self, call: Callable[[], Any]) -> Future[Any]: ...

    def close(self) -> None: ...


class Threads:
    """A thread for everything that is started."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1_100)

    def guard(self, memory: MemoryStore, plan: FaultPlan, **settings: Any) -> Guard:
        return Guard(FaultyStore(memory, plan), **settings)

    def start(self, call: Callable[[], Any]) -> Future[Any]:
        return self._pool.submit(call)

    def close(self) -> None:
        self._pool.shutdown()


class Loop:
    """One event loop, in a thread of its own; all that is started is a task."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def guard(
        self, memory: MemoryStore, plan: FaultPlan, **settings: Any
    ) -> AsyncGuard:
        return AsyncGuard(AsyncFaultyStore(AsyncMemoryStore(memory), plan), **settings)

    def start(self, call: Callable[[], Awaitable[Any]]) -> Future[Any]:
        async def awaited() -> Any:
            return await call()

        return asyncio.run_coroutine_threadsafe(awaited(), self.loop)

    def close(self) -> None:
        left = asyncio.run_coroutine_threadsafe(self._left(), self.loop).result(SOON)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        assert [] == left

    async def _left(self) -> list[asyncio.Task[Any]]:
        return [task for task in asyncio.all_tasks() if task is not _current()]


def _current() -> asyncio.Task[Any] | None:
    return asyncio.current_task()


class WaitingLoop(Loop):
    """The same on a store that is not immediate: every verb takes a turn."""

    def guard(
        self, memory: MemoryStore, plan: FaultPlan, **settings: Any
    ) -> AsyncGuard:
        faulty = AsyncFaultyStore(AsyncMemoryStore(memory), plan)
        return AsyncGuard(AsyncPausingStore(faulty, lambda point: None), **settings)


class World:
    """A store, a plan of its faults, and guards that share it."""

    def __init__(self, face: Face, clock: Callable[[], float]) -> None:
        self.face = face
        self.memory = MemoryStore(clock=clock)
        self.plan = FaultPlan()
        self._guards: list[Any] = []
        self._before = set(threading.enumerate())
        self.here = self.guard()

    def guard(self, **settings: Any) -> Any:
        """Another guard on the same store, as another process would have."""
        made = self.face.guard(self.memory, self.plan, **settings)
        self._guards.append(made)
        return made

    def start(self, call: Callable[[], Any]) -> Future[Any]:
        return self.face.start(call)

    def starts(
        self,
        attempt: Attempt,
        terms: Policy | None = None,
        *,
        guard: Any = None,
        wait_for: float = 0.0,
        on_gone: Callable[[str], None] | None = None,
    ) -> Future[Decision]:
        """Begin, without waiting for the decision."""
        chosen = guard or self.here
        return self.start(
            lambda: chosen.begin(
                attempt,
                terms or policy(),
                wait_for=timedelta(seconds=wait_for),
                on_gone=on_gone,
            )
        )

    def begin(self, attempt: Attempt, terms: Policy | None = None, **how: Any) -> Any:
        return self.starts(attempt, terms, **how).result(SOON)

    def granted(
        self, attempt: Attempt, terms: Policy | None = None, **how: Any
    ) -> Lease:
        """Begin, and get the key."""
        decision = self.begin(attempt, terms, **how)
        assert isinstance(decision, Proceed)
        return decision.lease

    def finish(
        self,
        lease: Lease,
        ending: Ending,
        terms: Policy | None = None,
        *,
        guard: Any = None,
    ) -> Finished:
        chosen = guard or self.here
        call = self.start(lambda: chosen.finish(lease, ending, terms or policy()))
        finished: Finished = call.result(SOON)
        return finished

    def winner(
        self, lease: Lease, *, guard: Any = None, wait_for: float = 0.0
    ) -> Record | None:
        chosen = guard or self.here
        span = timedelta(seconds=wait_for)
        call = self.start(lambda: chosen.winner(lease, wait_for=span))
        record: Record | None = call.result(SOON)
        return record

    def record(self, key: str = "k-1") -> Record:
        found = self.memory.find(identity(key))
        assert found is not None
        return found.record

    def find(self, key: str = "k-1") -> Claimed | None:
        call = self.start(lambda: self.here.find(identity(key)))
        found: Claimed | None = call.result(SOON)
        return found

    def dies(self, guard: Any) -> None:
        """End *guard*: its leases are renewed no more."""
        self._guards.remove(guard)
        self.start(guard.close).result(SOON)

    def close(self) -> None:
        """End every guard; nothing may be left."""
        for guard in list(self._guards):
            self.dies(guard)
        self.face.close()
        assert [] == self.beating()

    def beating(self) -> list[str]:
        """Name the heartbeats that have come since this world began."""
        threads = set(threading.enumerate()) - self._before
        return [thread.name for thread in threads if "keyonce" in thread.name]


def eventually(true: Callable[[], Any], within: float = 10.0) -> None:
    """Wait until *true* is."""
    until = time.monotonic() + within
    while not true():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.005)
