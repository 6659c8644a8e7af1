# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What is cached, for how long, and what that saves."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import StoredResult
from keyonce.core.states import Status
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.stores.sqlite import AsyncSQLiteStore
from keyonce.stores.tiered import AsyncTiered, MemoryCache, RedisCache, Tiered
from keyonce.testing.clock import FakeClock
from keyonce.testing.faults import Fault, FaultPlan, FaultyStore
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    OTHER_PAYLOAD,
    PAYLOAD,
    SECOND,
    YEAR,
    claim_of,
    completion_of,
    named,
    pass_lease,
    record_in,
    settlement_of,
)
from tests.stores.programs import run
from tests.stores.tiered.samples import (
    SEALED,
    BrokenCache,
    OpenCache,
    asked_again,
    counted,
    counted_async,
    done,
)


class Tiers:
    def __init__(self, cache=None, **settings):
        self.clock = FakeClock()
        self.passing = FakeClock()
        self.cache: Any = cache or MemoryCache()
        self.plan = FaultPlan()
        self.calls = self.plan.calls
        self.records = MemoryStore(clock=self.clock)
        self.durable = FaultyStore(self.records, self.plan)
        settings = {"clock": self.passing, **settings}
        self.store = Tiered(self.cache, self.durable, **settings)

    def advance(self, seconds):
        self.clock.advance(seconds)
        self.passing.advance(seconds)

    def trips(self):
        made, self.calls[:] = list(self.calls), []
        return made


# ------------------------------------------------------------------ trips


def test_a_first_request_makes_two_trips_and_a_replay_none():
    tiers = Tiers()

    record = done(tiers.store)
    first = tiers.trips()
    claimed = asked_again(tiers.store)

    assert ["claim", "complete"] == first
    assert (record, []) == (claimed.record, tiers.trips())


def test_ten_thousand_duplicates_make_no_trip():
    tiers = Tiers()
    record = done(tiers.store)
    tiers.trips()

    answers = {asked_again(tiers.store).record for _ in range(10_000)}

    assert ({record}, []) == (answers, tiers.trips())
    assert 10_000 == tiers.store.counts["hit"]


async def test_ten_thousand_duplicates_in_a_loop_make_no_trip(tmp_path):
    durable, calls = counted_async(AsyncSQLiteStore(tmp_path / "keyonce.db"))
    store = AsyncTiered(MemoryCache(), durable)
    await store.claim(claim_of())
    await store.complete(completion_of())
    calls.clear()

    tasks = [store.claim(claim_of(owner=SECOND)) for _ in range(10_000)]
    answers = {claimed.record.owner for claimed in await asyncio.gather(*tasks)}

    assert ({FIRST}, []) == (answers, calls)
    await store.close()


async def test_a_memory_cache_is_glanced_at_without_the_durable_store(tmp_path):
    durable, calls = counted_async(AsyncSQLiteStore(tmp_path / "keyonce.db"))
    store = AsyncTiered(MemoryCache(), durable)
    await store.claim(claim_of())
    before = store.glance(ORDER)
    await store.complete(completion_of())
    calls.clear()

    found = store.glance(ORDER)

    assert before is None
    assert found is not None
    assert (Status.COMPLETED, []) == (found.record.status, calls)
    await store.close()


async def test_what_the_durable_store_sees_at_a_glance_is_kept(tmp_path):
    durable = AsyncSQLiteStore(tmp_path / "keyonce.db")
    done(durable.blocking())
    store = AsyncTiered(MemoryCache(), durable)

    found = [store.glance(ORDER), store.glance(ORDER)]

    assert [ANSWER, ANSWER] == [claimed.record.result for claimed in found if claimed]
    assert 1 == store.counts["hit"]
    await store.close()


def test_replays_go_on_while_the_durable_store_is_gone():
    tiers = Tiers()
    record = done(tiers.store)
    tiers.plan.faults.append(Fault(times=None))

    assert record == asked_again(tiers.store).record
    with pytest.raises(StoreUnavailable):
        tiers.store.claim(claim_of(named("new")))


def test_another_process_learns_of_an_outcome_from_the_shared_cache():
    tiers = Tiers(OpenCache(), **SEALED)
    record = done(tiers.store)
    other = Tiered(tiers.cache, tiers.durable, clock=tiers.passing, **SEALED)
    other.claim(claim_of(named("another")))  # from which it learns the time
    tiers.trips()

    assert (record, []) == (asked_again(other).record, tiers.trips())


# --------------------------------------------------------- what is cached


def test_nothing_but_a_completed_record_is_cached():
    tiers = Tiers(OpenCache(), **SEALED)
    store = tiers.store
    store.claim(claim_of(named("in progress")))
    store.claim(claim_of(named("in progress"), SECOND))
    store.claim(claim_of(named("unknown")))
    store.abandon(named("unknown"), FIRST, "crash")
    store.claim(claim_of(named("unknown"), SECOND))
    store.find(named("unknown"))
    store.claim(claim_of(named("released")))
    store.release(named("released"), FIRST, "safe", HOUR)
    store.find(named("released"))

    assert {} == tiers.cache.held


def test_a_tombstone_is_never_cached_and_ends_what_was():
    tiers = Tiers(OpenCache(), **SEALED)
    done(tiers.store, retention_for=60.0, late_for=HOUR)
    tiers.advance(60)
    tiers.cache.held.clear()

    seen = [asked_again(tiers.store), tiers.store.find(ORDER)]

    assert [Status.TOMBSTONE] * 2 == [claimed.record.status for claimed in seen]
    assert {} == tiers.cache.held


def test_an_outcome_that_an_operator_stated_is_cached_when_it_is_met():
    tiers = Tiers()
    tiers.store.claim(claim_of())
    tiers.store.abandon(ORDER, FIRST, "crash")
    settled = tiers.store.settle(settlement_of(result=ANSWER))
    tiers.trips()

    met = [asked_again(tiers.store).record for _ in range(3)]

    assert [settled] * 3 == met
    assert ["claim"] == tiers.trips()


def test_settling_takes_the_key_out_of_the_cache():
    tiers = Tiers(OpenCache(), **SEALED)
    tiers.store.claim(claim_of())
    tiers.store.abandon(ORDER, FIRST, "crash")
    tiers.cache.held[tiers.store._shelf.name_of(ORDER)] = b"whatever is there"

    tiers.store.settle(settlement_of())

    assert {} == tiers.cache.held


def test_an_outcome_that_another_owner_stored_is_not_taken_for_this_ones():
    tiers = Tiers()
    store = tiers.store
    guarantee = Guarantee.AT_LEAST_ONCE
    store.claim(claim_of(guarantee=guarantee))
    pass_lease(tiers.clock)
    seen = record_in(tiers.records).lease_until
    store.claim(claim_of(owner=SECOND, guarantee=guarantee, witnessed=seen))
    late = store.complete(completion_of(result=StoredResult(500)))
    won = store.complete(completion_of(owner=SECOND))

    assert late is not None
    assert won is not None
    assert SECOND == late.owner
    assert won == asked_again(store, owner=FIRST).record
    assert ANSWER == won.result


def test_large_outcomes_are_left_to_the_durable_store():
    tiers = Tiers(OpenCache(), **SEALED)
    body = b"x" * 300_000

    done(tiers.store, result=StoredResult(200, (), body, size=len(body)))

    assert {} == tiers.cache.held
    assert body == asked_again(tiers.store).record.result.body


def test_an_outcome_without_its_body_is_cached_as_that():
    tiers = Tiers()
    done(tiers.store, result=StoredResult(200, kept=False, size=10**9))

    record = asked_again(tiers.store).record

    assert (False, 10**9) == (record.result.kept, record.result.size)
    assert 1 == tiers.store.counts["hit"]


# ------------------------------------------------------------------- time


def test_the_cache_ends_before_the_record_does_and_never_after():
    tiers = Tiers()
    done(tiers.store, retention_for=60.0)
    told = []
    for _ in range(62):
        hits = tiers.store.counts["hit"]
        claimed = asked_again(tiers.store)
        told.append((tiers.store.counts["hit"] > hits, claimed.record.status))
        tiers.advance(1)

    cached = [hit for hit, _ in told]
    assert cached == sorted(cached, reverse=True)
    assert (True, False) == (cached[50], cached[59])
    assert [Status.COMPLETED] * 60 == [status for _, status in told[:60]]
    assert [Status.IN_PROGRESS] * 2 == [status for _, status in told[60:]]


def test_without_having_heard_the_time_the_durable_store_is_asked():
    tiers = Tiers(OpenCache(), **SEALED)
    done(tiers.store)
    other = Tiered(tiers.cache, tiers.durable, clock=tiers.passing, **SEALED)
    tiers.trips()

    asked_again(other)
    first = tiers.trips()
    asked_again(other)

    assert (["claim"], []) == (first, tiers.trips())


def test_a_time_heard_long_ago_counts_no_more():
    tiers = Tiers(hold_for=timedelta(days=400))
    done(tiers.store, retention_for=YEAR)
    tiers.trips()

    tiers.advance(599)
    asked_again(tiers.store)
    before = tiers.trips()
    tiers.advance(2)
    asked_again(tiers.store)

    assert ([], ["claim"]) == (before, tiers.trips())


def test_what_is_kept_for_ever_is_read_anew_after_a_while():
    tiers = Tiers(hold_for=timedelta(minutes=5))
    done(tiers.store, retention_for=None)
    tiers.trips()

    tiers.advance(250)
    asked_again(tiers.store)
    before = tiers.trips()
    tiers.advance(50)
    asked_again(tiers.store)

    assert ([], ["claim"]) == (before, tiers.trips())


def test_a_clock_here_that_runs_slow_within_reason_serves_nothing_expired():
    tiers = Tiers(hold_for=timedelta(hours=2))
    done(tiers.store, retention_for=500.0)
    tiers.passing.advance(500 * (1 - 0.0009))
    tiers.clock.advance(500)

    claimed = asked_again(tiers.store)

    assert (Status.IN_PROGRESS, SECOND) == (claimed.record.status, claimed.record.owner)


def test_a_jump_of_the_stores_clock_is_heard_with_its_next_answer():
    tiers = Tiers()
    done(tiers.store)
    tiers.clock.advance(2 * HOUR)
    cached = asked_again(tiers.store).record

    tiers.store.claim(claim_of(named("another")))
    claimed = asked_again(tiers.store).record

    assert (Status.COMPLETED, Status.IN_PROGRESS) == (cached.status, claimed.status)


def test_a_clock_here_that_is_turned_back_is_not_believed():
    tiers = Tiers()
    done(tiers.store)
    tiers.passing.advance(-60)
    tiers.trips()

    asked_again(tiers.store)

    assert ["claim"] == tiers.trips()


def test_the_machines_own_clocks_will_do():
    store = Tiered(MemoryCache(), MemoryStore())
    record = done(store)

    claimed = asked_again(store)

    assert record == claimed.record
    assert record.ended_at <= claimed.now < record.ended_at + 60
    assert 1 == store.counts["hit"]


# ---------------------------------------------------------------- trouble


def test_a_cache_that_fails_is_left_alone_for_a_while():
    cache = BrokenCache()
    durable, calls = counted(MemoryStore())
    store = Tiered(cache, durable, **SEALED)

    done(store)
    for _ in range(100):
        assert ANSWER == asked_again(store).record.result

    assert 1 == cache.asked
    assert 102 == len(calls)
    assert 1 == store.counts["failed"]


def test_after_its_rest_one_call_tries_a_cache_again():
    from keyonce.stores.tiered.standing import RESTS_FOR, Standing

    clock = FakeClock()
    standing = Standing("tiered(memory)", clock)
    standing.failed()
    resting = standing.may_be_asked()
    clock.advance(RESTS_FOR)
    tries = [standing.may_be_asked() for _ in range(3)]
    standing.worked()

    assert (False, [True, False, False], True) == (
        resting,
        tries,
        standing.may_be_asked(),
    )


def test_an_outcome_counts_as_stored_whatever_the_cache_does():
    store = Tiered(BrokenCache(), MemoryStore(), **SEALED)
    store.claim(claim_of())

    record = store.complete(completion_of())

    assert record is not None
    assert Status.COMPLETED is record.status


def test_a_memory_cache_forgets_what_was_used_longest_ago():
    cache = MemoryCache(size=10_000)
    for number in range(100):
        cache.put(b"%d" % number, b"x" * 1000, 60)
        cache.get(b"0")

    assert cache.used <= 10_000
    assert cache.get(b"0") is not None
    assert cache.get(b"1") is None


# --------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "mend"),
    [
        ({}, "secret_env"),
        ({"keys": {"k": b"x" * 32}}, "current_key"),
        ({"keys": {"k": b"short"}, "current_key": "k"}, "openssl"),
        ({"keys": {"k": b"x" * 32}, "current_key": "j"}, "'j'"),
        ({**SEALED, "prefix": "no {braces}"}, "prefix"),
        ({**SEALED, "prefix": None}, "a prefix of its own"),
        ({**SEALED, "hold_for": timedelta(0)}, "hold_for"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings, mend):
    with pytest.raises(ConfigurationError, match=mend):
        Tiered(OpenCache(), MemoryStore(), **settings)
    with pytest.raises(ConfigurationError, match=mend):
        AsyncTiered(OpenCache(), AsyncMemoryStore(), **settings)


def test_a_store_is_no_cache():
    with pytest.raises(ConfigurationError, match="MemoryCache"):
        Tiered(MemoryStore(), MemoryStore())  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["redis+cluster://h:1", "http://h", "redis://h?no=1"])
def test_a_cache_url_that_cannot_work_is_refused(url):
    with pytest.raises(ConfigurationError, match="redis://"):
        RedisCache(url)


def test_a_client_that_waits_for_ever_is_refused():
    import redis

    with redis.Redis(socket_timeout=None) as client:
        with pytest.raises(ConfigurationError, match="socket_timeout"):
            RedisCache(client)


def test_what_else_the_durable_store_can_do_is_found(tmp_path):
    class Gifted(MemoryStore):
        def joined(self, connection):
            return connection

    store = Tiered(MemoryCache(), Gifted())
    plain = Tiered(MemoryCache(), MemoryStore())
    with_folder = AsyncTiered(MemoryCache(), AsyncSQLiteStore(tmp_path / "keyonce.db"))

    assert ORDER == store.joined(ORDER)  # type: ignore[attr-defined]
    assert not hasattr(plain, "joined")
    assert tmp_path == with_folder.folder  # type: ignore[attr-defined]
    asyncio.run(with_folder.close())


def test_the_traits_are_those_of_the_durable_store(durable):
    traits = Tiered(MemoryCache(), durable).traits

    assert "tiered(sqlite)" == traits.name
    assert durable.traits == type(traits)(
        "sqlite",
        traits.guarantees,
        durable=traits.durable,
        many_processes=traits.many_processes,
        largest_result=traits.largest_result,
    )


def test_another_request_under_the_key_is_told_apart_without_a_trip():
    from keyonce import Guard, Policy
    from keyonce.core.decide import Mismatch, Replay
    from keyonce.core.model import Attempt

    tiers = Tiers()
    done(tiers.store)
    tiers.trips()
    guard = Guard(tiers.store)

    decisions = [
        guard.begin(Attempt(ORDER, fingerprint, lambda _: None), Policy())
        for fingerprint in (PAYLOAD, OTHER_PAYLOAD)
    ]
    guard.close()

    assert [Replay, Mismatch] == [type(decision) for decision in decisions]
    assert [] == tiers.trips()


def test_an_observer_of_the_guard_hears_of_the_cache():
    from keyonce import Guard
    from keyonce.core.events import CacheAsked

    heard = []

    class Ear:
        def notify(self, event):
            heard.append(event)

    store = Tiered(MemoryCache(), MemoryStore())
    guard = Guard(store, observer=Ear())
    done(store)
    asked_again(store)
    guard.close()

    assert CacheAsked("tiered(memory)", "hit") == heard[-1]


def test_a_fork_begins_with_an_empty_cache_and_a_lock_of_its_own():
    told = run(
        """
        import threading
        from keyonce.stores.tiered import MemoryCache
        cache = MemoryCache()
        cache.put(b"name", b"entry", 60)
        cache._lock.acquire()  # as another thread may, while this one forks
        child = os.fork()
        if child == 0:
            say(cache.get(b"name"))
            cache.put(b"name", b"mine", 60)
            say(cache.get(b"name"))
            os._exit(0)
        os.waitpid(child, 0)
        cache._lock.release()
        say(cache.get(b"name"))
        """
    )

    assert ["None", "b'mine'", "b'entry'"] == told
