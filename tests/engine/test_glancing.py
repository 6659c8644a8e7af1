# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What is settled is told at once, without a task; everything else is not."""

from __future__ import annotations

import pytest

from keyonce.core.decide import Expired, Mismatch, Proceed, Replay
from keyonce.core.ending import Free, Unclear
from keyonce.engine.aio import AsyncGuard
from keyonce.stores.memory import AsyncMemoryStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.faults import AsyncFaultyStore, FaultPlan
from tests.engine.samples import attempt, paid, policy

LATE = policy(after_expiry="refuse")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def guard(clock):
    guard = AsyncGuard(AsyncMemoryStore(clock=clock))
    yield guard
    await guard.close()


async def ended(guard, ending, terms=LATE):
    decision = await guard.begin(attempt(), terms)
    assert isinstance(decision, Proceed)
    await guard.finish(decision.lease, ending, terms)


async def test_a_done_key_is_replayed_at_a_glance(guard):
    await ended(guard, paid(b"once"))

    assert guard.glance(attempt()) == await guard.begin(attempt(), LATE)
    assert isinstance(guard.glance(attempt()), Replay)
    assert isinstance(guard.glance(attempt(body=b"other")), Mismatch)
    assert isinstance(guard.glance(attempt(scheme="9", knows="2")), Replay)


async def test_a_tombstone_is_told_at_a_glance(guard, clock):
    await ended(guard, paid())
    clock.advance(LATE.terms.retention_for or 0)

    assert isinstance(guard.glance(attempt()), Expired)


async def test_a_key_past_its_retention_is_not(guard, clock):
    await ended(guard, paid(), policy())
    clock.advance(policy().terms.retention_for or 0)

    assert guard.glance(attempt()) is None


async def test_nothing_that_may_still_change_is_told_at_a_glance(guard):
    assert guard.glance(attempt()) is None
    decision = await guard.begin(attempt(), policy())
    assert isinstance(decision, Proceed)
    assert guard.glance(attempt()) is None
    await guard.finish(decision.lease, Free("refused"), policy())
    assert guard.glance(attempt()) is None
    await ended(guard, Unclear("timed out"))
    assert guard.glance(attempt()) is None


async def test_a_store_that_cannot_glance_is_asked_properly():
    store = AsyncFaultyStore(AsyncMemoryStore(), FaultPlan())
    guard = AsyncGuard(store)
    await ended(guard, paid())

    assert guard.glance(attempt()) is None
    assert isinstance(await guard.begin(attempt(), policy()), Replay)
    await guard.close()
