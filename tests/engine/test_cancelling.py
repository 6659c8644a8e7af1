# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A task that is cancelled at any await leaves no key behind that is stuck."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from keyonce.core.decide import Proceed, Replay
from keyonce.core.ending import Free, Unclear
from keyonce.core.states import Status
from keyonce.engine.aio import AsyncGuard
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.testing.points import AsyncPausingStore, Gate
from tests.engine.samples import attempt, identity, paid, policy

ANY = timedelta(seconds=20)


class Room:
    """A guard whose store stops at one point."""

    def __init__(self, *points):
        self.gate = Gate(*points)
        self.memory = MemoryStore()
        store = AsyncPausingStore(AsyncMemoryStore(self.memory), self.gate)
        self.guard = AsyncGuard(store)

    async def cancelled_at_the_gate(self, work):
        """Cancel *work* where the store stops, and only then open the gate."""
        task = asyncio.create_task(work)
        assert await asyncio.to_thread(self.gate.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        self.gate.open()

    def status(self):
        found = self.memory.find(identity())
        return None if found is None else found.record.status

    async def becomes(self, *statuses):
        async with asyncio.timeout(10):
            while self.status() not in statuses:
                await asyncio.sleep(0.01)

    async def close(self):
        self.gate.open()
        await self.guard.close()
        assert {asyncio.current_task()} == asyncio.all_tasks()


@pytest.mark.parametrize(
    ("ending", "verb", "status"),
    [
        (paid(b"once"), "complete", Status.COMPLETED),
        (Free("refused"), "release", Status.RELEASED),
        (Unclear("timed out"), "abandon", Status.UNKNOWN),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_end_is_written_although_its_task_is_cancelled(
    ending, verb, status, when
):
    room = Room(f"{verb}.{when}")
    decision = await room.guard.begin(attempt(), policy())
    assert isinstance(decision, Proceed)

    await room.cancelled_at_the_gate(
        room.guard.finish(decision.lease, ending, policy())
    )

    await room.becomes(status)
    await room.close()


async def test_waiters_get_the_outcome_of_an_owner_that_was_cancelled_at_the_end():
    room = Room("complete.before")
    decision = await room.guard.begin(attempt(), policy())
    assert isinstance(decision, Proceed)
    waiters = [
        asyncio.create_task(room.guard.begin(attempt(), policy(), wait_for=ANY))
        for _ in range(10)
    ]
    await asyncio.sleep(0)

    await room.cancelled_at_the_gate(
        room.guard.finish(decision.lease, paid(b"once"), policy())
    )

    for answer in await asyncio.gather(*waiters):
        assert isinstance(answer, Replay)
    await room.close()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_claim_whose_task_is_cancelled_leaves_the_key_free(when):
    """Nothing has run under it, so the next attempt need not wait for the lease."""
    room = Room(f"claim.{when}")

    await room.cancelled_at_the_gate(room.guard.begin(attempt(), policy()))

    await room.becomes(None, Status.RELEASED)
    again = await room.guard.begin(attempt(), policy(), wait_for=ANY)
    assert isinstance(again, Proceed)
    await room.guard.finish(again.lease, paid(), policy())
    await room.close()


async def test_a_waiter_that_is_cancelled_leaves_its_seat():
    room = Room()
    decision = await room.guard.begin(attempt(), policy())
    assert isinstance(decision, Proceed)
    waiters = [
        asyncio.create_task(room.guard.begin(attempt(), policy(), wait_for=ANY))
        for _ in range(10)
    ]
    await asyncio.sleep(0.05)
    for waiter in waiters[:9]:
        waiter.cancel()
    await asyncio.sleep(0)

    await room.guard.finish(decision.lease, Free("refused"), policy())

    chosen = await waiters[9]
    assert isinstance(chosen, Proceed)
    await asyncio.gather(*waiters[:9], return_exceptions=True)
    await room.guard.finish(chosen.lease, paid(), policy())
    assert {} == room.guard._flights._flights
    await room.close()


async def test_a_leader_that_is_cancelled_hands_over():
    room = Room()
    there = AsyncGuard(AsyncMemoryStore(room.memory))
    decision = await there.begin(attempt(), policy())
    assert isinstance(decision, Proceed)
    leader, heir = [
        asyncio.create_task(room.guard.begin(attempt(), policy(), wait_for=ANY))
        for _ in range(2)
    ]
    await asyncio.sleep(0.1)

    leader.cancel()
    await asyncio.sleep(0.1)
    await there.finish(decision.lease, paid(b"once"), policy())

    assert isinstance(await heir, Replay)
    await there.close()
    await room.close()
