# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Guarded work that a test writes once, for threads and for event loops.

A function under test is a generator: it yields a call ``step(rule, fn, *args)`` and
is sent what that gave, or is raised into. What it returns is its result.
"""

from __future__ import annotations

import asyncio
from typing import Any

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Claim, Completion, Note, StoredResult
from keyonce.core.policy import Policy
from keyonce.core.steps import Step, Steps, write_steps
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.aio_work import current_async_work
from keyonce.engine.sync import Guard
from keyonce.engine.work import current_work
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.faults import AsyncFaultyStore, FaultPlan, FaultyStore

RESUME = Policy(guarantee=Guarantee.RESUME)
MOST = Policy(guarantee=Guarantee.AT_MOST_ONCE)
LEAST = Policy(guarantee=Guarantee.AT_LEAST_ONCE)


class Place:
    """One store, a clock to turn, planned faults, and guards as processes have them."""

    def __init__(self, *, aio: bool) -> None:
        self.aio = aio
        self.clock = FakeClock()
        self.memory = MemoryStore(clock=self.clock)
        self.plan = FaultPlan()
        self._runner = asyncio.Runner()
        self._guards: list[Any] = []

    def guard(self, **settings: Any) -> Any:
        store: Any = FaultyStore(self.memory, self.plan)
        make: Any = Guard
        if self.aio:
            make = AsyncGuard
            store = AsyncFaultyStore(AsyncMemoryStore(self.memory), self.plan)
        guard = make(store, **settings)
        self._guards.append(guard)
        return guard

    def once(self, work, *, policy=RESUME, guard=None, name="pay", **settings):
        """Guard *work*; what is given can be called from a test as it is."""
        settings.setdefault("key", lambda order: order)
        once = (guard or self.guard()).once(name, policy=policy, **settings)
        if not self.aio:

            @once
            def plain(order):
                return _played(work(order))

            plain.attempt = lambda order: plain._call.attempt((order,), {})
            return plain

        @once
        async def coroutine(order):
            return await _aplayed(work(order))

        call: Any = lambda order: self._runner.run(coroutine(order))  # noqa: E731
        call.status = lambda order: self._runner.run(coroutine.status(order))
        call.forget = lambda why, order: self._runner.run(coroutine.forget(why, order))
        call.attempt = lambda order: coroutine._call.attempt((order,), {})
        return call

    def vanished(self, attempt, *taken: Step) -> None:
        """Leave the key as a worker does that vanished at work, after its lease."""
        owner = self._claimed(attempt)
        frame = write_steps(Steps(attempt.fingerprint, taken))
        self.memory.note(Note(attempt.identity, owner, frame))
        self.clock.advance(3600)

    def wins(self, attempt, body: bytes) -> None:
        """Do the work as another worker."""
        owner, result = self._claimed(attempt), StoredResult(0, body=body)
        self.memory.complete(Completion(attempt.identity, owner, result, 86_400.0))

    def _claimed(self, attempt) -> bytes:
        owner = b"another worker's"
        claim = Claim(
            attempt.identity,
            owner,
            attempt.fingerprint,
            Guarantee.RESUME,
            lease_for=30.0,
            max_crashes=3,
        )
        self.memory.claim(claim)
        return owner

    def close(self) -> None:
        for guard in self._guards:
            closing = guard.close()
            if self.aio:
                self._runner.run(closing)
        self._runner.close()


def _played(work):
    answer, error = None, None
    while True:
        try:
            rule, fn, *args = work.send(answer) if error is None else work.throw(error)
        except StopIteration as end:
            return end.value
        answer, error = None, None
        try:
            answer = current_work().step(rule, fn, *args)
        except Exception as raised:  # noqa: BLE001 - thrown into the work
            error = raised


async def _aplayed(work):
    answer, error = None, None
    while True:
        try:
            rule, fn, *args = work.send(answer) if error is None else work.throw(error)
        except StopIteration as end:
            return end.value
        answer, error = None, None

        async def taken(fn=fn, args=args):
            await asyncio.sleep(0)
            return fn(*args)

        taken.__annotations__ = dict(getattr(fn, "__annotations__", {}))
        try:
            answer = await current_async_work().step(rule, taken)
        except Exception as raised:  # noqa: BLE001 - thrown into the work
            error = raised
