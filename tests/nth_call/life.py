# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One whole life of two keys under a fault, and what has to hold of it.

The first key is asked for, asked for again and replayed by another process; under the
second a process crashes at work, and another one recovers. The callers give up at
errors. Then the faults stop, and they come back until they have an answer.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final

from keyonce.core.errors import (
    IdempotencyError,
    InProgress,
    LeaseLost,
    OutcomeUnknown,
    SafeToRetry,
    SettlementRefused,
)
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Identity, Settlement, StoredResult
from keyonce.core.states import Status
from keyonce.testing.clock import FakeClock
from keyonce.testing.faults import AsyncFaultyStore, FaultPlan, FaultyStore
from tests.exactly_once.shops import orders
from tests.nth_call.outside import Outside
from tests.nth_call.places import Place
from tests.nth_call.workers import LEASE, AsyncWorker, Crash, Worker

WITHIN: Final = 60.0
BY_OPERATOR: Final = {"settled": True}


class Life:
    """Two keys, three processes, one store, and a plan of its faults."""

    def __init__(
        self,
        place: Place,
        guarantee: Guarantee,
        plan: FaultPlan,
        name: str,
        *,
        aio: bool,
    ) -> None:
        self._place = place
        self._guarantee = guarantee
        self._plan = plan
        self._aio = aio
        self._clock = FakeClock()
        self._outside = Outside()
        self._shop = place.shop(aio=aio) if place.shops[0] else None
        self._runner = asyncio.Runner()
        self._keys = (f"{name} whole", f"{name} crash")
        self._answers: dict[str, list[Any]] = {key: [] for key in self._keys}

    def lives(self) -> None:
        """Live it, and check what has to hold."""
        store = self._runner.run(self._opened()) if self._aio else self._open()
        self._near = store.blocking() if self._aio else store
        try:
            self._under_faults(store)
            self._plan.heal()
            self._afterwards(store)
            self._check()
        finally:
            closing = store.close()
            if self._aio:
                self._runner.run(closing)
                assert set() == self._runner.run(_others())
                self._runner.close()

    async def _opened(self) -> Any:
        return self._open()

    def _open(self) -> Any:
        return self._place.open(self._clock, aio=self._aio)

    def _worker(self, store: Any) -> Worker:
        if not self._aio:
            line = FaultyStore(store, self._plan)
            return Worker(line, self._guarantee, self._outside, self._shop)
        far = AsyncFaultyStore(store, self._plan)
        return AsyncWorker(
            far, self._guarantee, self._outside, self._shop, self._runner
        )

    def _under_faults(self, store: Any) -> None:
        whole, crash = self._keys
        first, other = self._worker(store), self._worker(store)
        try:
            self._asks(first, whole)
            self._asks(first, whole)
            self._asks(other, whole)
            first.crashes = True
            self._asks(first, crash)
            first.dies()
            self._clock.advance(2 * LEASE)
            self._asks(other, crash)
            self._asks(other, crash)
        finally:
            first.dies()
            other.close()

    def _asks(self, worker: Worker, key: str) -> None:
        """Ask once, and take what comes."""
        try:
            answer = worker.order(key)
        except (IdempotencyError, TimeoutError, Crash):
            return
        self._heard(worker, key, answer)

    def _heard(self, worker: Worker, key: str, answer: Any) -> None:
        assert self._effects(key) >= 1, "an answer without its effect"
        if not worker.ear.unrecorded():
            self._answers[key].append(answer)

    def _afterwards(self, store: Any) -> None:
        last = self._worker(store)
        last.hurried = False
        try:
            for key in self._keys:
                self._until_answered(last, key)
                self._heard(last, key, last.order(key))
        finally:
            last.close()

    def _until_answered(self, worker: Worker, key: str) -> None:
        """Come back as often as it takes; an operator settles what nobody knows."""
        until = time.monotonic() + WITHIN
        while True:
            try:
                answer = worker.order(key)
            except OutcomeUnknown:
                assert not self._guarantee.runs_again, "at most once alone is in doubt"
                self._settles(key)
            except (InProgress, LeaseLost, SafeToRetry, TimeoutError):
                self._clock.advance(2 * LEASE)
            else:
                self._heard(worker, key, answer)
                return
            assert time.monotonic() < until, "the key is stuck"

    def _settles(self, key: str) -> None:
        """Decide as an operator who looks at the effects."""
        result = None
        if self._effects(key):
            body = json.dumps(BY_OPERATOR).encode()
            result = StoredResult(0, body=body, size=len(body))
        try:
            self._near.settle(Settlement(self._who(key), "looked", "olga", result))
        except SettlementRefused:  # it ended meanwhile, by its late owner
            return

    def _who(self, key: str) -> Identity:
        return Identity("functions", "order", key)

    def _effects(self, key: str) -> int:
        if self._guarantee is Guarantee.EXACTLY_ONCE:
            return orders(self._place.near, key)
        return self._outside.effects(key)

    def _check(self) -> None:
        for key in self._keys:
            answers = self._answers[key]
            assert len(answers) >= 2
            assert all(answer == answers[0] for answer in answers), answers
            found = self._near.find(self._who(key))
            assert found is not None
            assert Status.COMPLETED is found.record.status
            if self._guarantee is not Guarantee.AT_LEAST_ONCE:
                assert self._effects(key) == 1


async def _others() -> set[Any]:
    """Give the tasks that are left; what only has to end itself may do so first."""
    until = time.monotonic() + WITHIN
    while left := asyncio.all_tasks() - {asyncio.current_task()}:
        if time.monotonic() > until:
            return left
        await asyncio.sleep(0.01)
    return set()
