# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The faults that tests plan meet the calls that were meant."""

from __future__ import annotations

import pytest

from keyonce.core.errors import StoreUnavailable
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.testing.faults import (
    AsyncFaultyStore,
    Fault,
    FaultPlan,
    FaultyStore,
    Mishap,
)
from keyonce.testing.store_scenarios.cases import (
    ORDER,
    claim_of,
    completion_of,
    record_in,
)


@pytest.fixture
def store():
    return MemoryStore()


def test_a_lost_request_changes_nothing(store):
    faulty = FaultyStore(store, FaultPlan(Fault(Mishap.LOST_REQUEST, "claim")))

    with pytest.raises(StoreUnavailable):
        faulty.claim(claim_of())

    assert store.find(ORDER) is None
    assert faulty.claim(claim_of()).record == record_in(store)


def test_a_lost_reply_changes_what_was_asked(store):
    faulty = FaultyStore(store, FaultPlan(Fault(Mishap.LOST_REPLY, "claim")))

    with pytest.raises(StoreUnavailable):
        faulty.claim(claim_of())

    assert record_in(store) == faulty.claim(claim_of()).record


def test_the_nth_call_of_a_verb_is_met(store):
    plan = FaultPlan(Fault(verb="find", nth=3, times=2))
    faulty = FaultyStore(store, plan)
    faulty.stats()
    met = []

    for _ in range(5):
        try:
            faulty.find(ORDER)
            met.append(False)
        except StoreUnavailable:
            met.append(True)

    assert [False, False, True, True, False] == met
    assert 2 == plan.met
    assert ["stats"] + ["find"] * 5 == plan.calls


def test_without_a_verb_every_call_counts(store):
    faulty = FaultyStore(store, FaultPlan(Fault(nth=2)))
    faulty.claim(claim_of())

    with pytest.raises(StoreUnavailable):
        faulty.complete(completion_of())


def test_what_never_gets_better_can_be_healed(store):
    plan = FaultPlan(Fault(times=None))
    faulty = FaultyStore(store, plan)
    for _ in range(10):
        with pytest.raises(StoreUnavailable):
            faulty.find(ORDER)

    plan.heal()

    assert faulty.find(ORDER) is None


def test_a_doubled_call_reaches_the_store_twice(store):
    heard = []

    class Counting(MemoryStore):
        def purge(self, limit=1000):
            heard.append(limit)
            return super().purge(limit)

    faulty = FaultyStore(Counting(), FaultPlan(Fault(Mishap.DOUBLED, "purge")))
    faulty.purge(5)
    faulty.purge(6)

    assert [5, 5, 6] == heard


async def test_both_faces_of_an_async_store_share_the_plan(store):
    plan = FaultPlan(Fault(verb="find", nth=2), Fault(Mishap.LOST_REPLY, "claim"))
    faulty = AsyncFaultyStore(AsyncMemoryStore(store), plan)
    with pytest.raises(StoreUnavailable):
        await faulty.claim(claim_of())
    found = await faulty.find(ORDER)

    with pytest.raises(StoreUnavailable):
        faulty.blocking().find(ORDER)

    assert found is not None
    assert record_in(store) == found.record
    assert ["claim", "find", "find"] == plan.calls


@pytest.mark.parametrize("mishap", [Mishap.HUNG_REQUEST, Mishap.HUNG_REPLY])
async def test_a_call_that_hangs_ends_unanswered(store, mishap):
    plan = FaultPlan(Fault(mishap, times=2), hangs_for=0.01)

    with pytest.raises(StoreUnavailable):
        FaultyStore(store, plan).claim(claim_of())
    with pytest.raises(StoreUnavailable):
        await AsyncFaultyStore(AsyncMemoryStore(store), plan).claim(claim_of())

    assert (mishap is Mishap.HUNG_REPLY) == (store.find(ORDER) is not None)
