# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How often the server is asked, what it is told, and what it forgets."""

from __future__ import annotations

import pytest
import redis

from keyonce.core.errors import RecordUnreadable, StoreUnavailable
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Note, Query, no_fields
from keyonce.core.states import Status
from keyonce.stores.redis.met import Met
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
    settlement_of,
    taken_over,
)
from tests.servers.relay import Relay
from tests.stores.redis.kinds import KINDS, store_of


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(params=KINDS)
def store(request, server, clock):
    store = store_of(request.param, server.url, clock=clock)
    store.find(named("warm"))  # connections, and the look at the settings
    yield store
    store.close()


@pytest.fixture
def own(server):
    with server.client as client:
        yield client


class Trips:
    """Counts what others than us ask of the server."""

    def __init__(self, client):
        self._client = client
        self._client.config_resetstat()
        self.offset = client.info()["aof_current_size"]

    def asked(self):
        """The commands by name, those inside of scripts as well."""
        stats = self._client.info("commandstats")
        mine = {"info", "config|resetstat", "client|setinfo", "hello"}
        names = {name.removeprefix("cmdstat_"): s["calls"] for name, s in stats.items()}
        return {name: calls for name, calls in names.items() if name not in mine}

    def scripts(self):
        asked = self.asked()
        return asked.get("evalsha", 0) + asked.get("eval", 0)

    def written(self):
        return self._client.info()["aof_current_size"] - self.offset


def known(store):
    """Have every script of the request path sent once."""
    completed(store, named("known"))
    return store


def test_a_first_request_takes_two_trips_and_a_replay_one(store, own):
    known(store)
    first = Trips(own)
    store.claim(claim_of())
    store.complete(completion_of())
    assert 2 == first.scripts()

    replay = Trips(own)
    assert store.claim(claim_of(owner=SECOND)).record.result is not None

    assert 1 == replay.scripts()
    assert {"evalsha", "hmget", "time"} >= replay.asked().keys()
    assert 0 == replay.written()


def test_whoever_is_told_to_wait_writes_nothing(store, own):
    store.claim(claim_of())
    trips = Trips(own)

    for _ in range(5):
        store.claim(claim_of(owner=SECOND))

    assert (5, 0) == (trips.scripts(), trips.written())


def test_each_end_takes_one_trip(store, own):
    for verb in (
        lambda: store.renew(ORDER, FIRST),
        lambda: store.note(Note(ORDER, FIRST, b"halfway", "ch_1")),
        lambda: store.abandon(ORDER, FIRST, "crashed"),
        lambda: store.settle(settlement_of()),
        lambda: store.claim(claim_of(owner=SECOND, field_map=no_fields)),
        lambda: store.release(ORDER, SECOND, "safe", HOUR),
        lambda: store.find(ORDER),
    ):
        store.claim(claim_of())
        verb()
        own.script_flush()  # once is enough to see that it is asked once
        verb_again = Trips(own)
        verb_name = store.find(ORDER)
        assert verb_name is not None
        assert verb_again.asked()["hmget"] == 1


def test_a_key_that_was_met_and_is_free_again_takes_a_second_trip(store, own):
    store.claim(claim_of())
    store.release(ORDER, FIRST, "safe", HOUR)
    trips = Trips(own)

    again = store.claim(claim_of(owner=SECOND)).record

    assert (SECOND, b"field map", 2) == (again.owner, again.fields, trips.scripts())


def test_a_note_takes_one_trip_and_what_it_says_as_many_bytes(store, own):
    store.claim(claim_of())
    store.note(Note(ORDER, FIRST, b"h"))
    trips = Trips(own)

    assert store.note(Note(ORDER, FIRST, b"halfway" * 100)) is True

    assert 1 == trips.scripts()
    assert {"evalsha", "hmget", "hset"} >= trips.asked().keys()
    assert 700 < trips.written() < 1000


def test_steps_are_dropped_with_the_outcome_and_in_no_listing(store, own):
    key = b"keyonce:r:{5:alice12:POST /orders7:order-1}"
    store.claim(claim_of())
    store.note(Note(ORDER, FIRST, b"halfway"))
    kept = own.hget(key, "s")
    (listed,) = store.records(Query())
    store.complete(completion_of())

    assert (b"halfway", b"") == (kept, listed.steps)
    assert not own.hexists(key, "s")


def test_nothing_is_met_for_ever():
    met = Met(size=2)

    seen = [met.again(named(key)) for key in ("a", "a", "b", "c", "d", "e", "a")]

    assert [False, True, False, False, False, False, False] == seen


def test_a_server_that_forgets_every_script_is_sent_them_again(store, own, clock):
    def forgetting(answer):
        own.script_flush()
        return answer

    again = Guarantee.AT_LEAST_ONCE
    own.script_flush()
    claimed = forgetting(store.claim(claim_of(guarantee=again)))
    renewed = forgetting(store.renew(ORDER, FIRST))
    noted = forgetting(store.note(Note(ORDER, FIRST, b"halfway")))
    taken = forgetting(taken_over(store, clock))
    told = forgetting(store.complete(completion_of()))
    done = forgetting(store.complete(completion_of(owner=SECOND)))
    found = forgetting(record_in(store))
    forgetting(store.claim(claim_of(named("b"))))
    freed = forgetting(store.release(named("b"), FIRST, "safe", HOUR))
    forgetting(store.claim(claim_of(named("c"))))
    left = forgetting(store.abandon(named("c"), FIRST, "crashed"))
    settled = forgetting(store.settle(settlement_of(named("c"))))
    clock.advance(2 * HOUR)
    purged = forgetting(store.purge())

    assert (FIRST, True) == (claimed.record.owner, renewed is not None)
    assert (True, b"halfway") == (noted, taken.steps)
    assert (SECOND, SECOND) == (taken.owner, told.owner)
    assert done == found
    assert (True, True, Status.RELEASED, 3) == (freed, left, settled.status, purged)


def test_one_record_is_one_key_and_the_audit_another(store, own):
    completed(store)
    store.claim(claim_of(named("lost")))
    store.abandon(named("lost"), FIRST, "crashed")
    store.settle(settlement_of(named("lost")))

    assert {
        b"keyonce:r:{5:alice12:POST /orders7:order-1}",
        b"keyonce:r:{5:alice12:POST /orders4:lost}",
        b"keyonce:a:{5:alice12:POST /orders4:lost}",
    } == set(own.keys())


def test_the_server_forgets_by_itself_what_is_over_and_nothing_else(store, own):
    minutes = 60_000

    def lives(key):
        left = own.pttl(f"keyonce:r:{{5:alice12:POST /orders{len(key)}:{key}}}")
        return left if left < 0 else round(left / minutes)

    store.claim(claim_of(named("running")))
    store.claim(claim_of(named("lost")))
    store.abandon(named("lost"), FIRST, "crashed")
    completed(store, named("done"))
    completed(store, named("late"), late_for=2 * HOUR)
    completed(store, named("ever"), retention_for=None)
    completed(store, named("long"), retention_for=1e13)
    store.claim(claim_of(named("free")))
    store.release(named("free"), FIRST, "safe", HOUR)

    keys = ("running", "lost", "done", "late", "ever", "long", "free")
    assert [-1, -1, 65, 185, -1, -1, 65] == [lives(key) for key in keys]

    store.claim(claim_of(named("free"), SECOND))

    assert -1 == lives("free")


def test_two_prefixes_are_two_stores(server, clock):
    one = store_of("sync", f"{server.url}?prefix=one", clock=clock)
    other = store_of("sync", server.url, prefix="other", clock=clock)

    one.claim(claim_of())
    other.claim(claim_of(owner=SECOND))

    assert (FIRST, SECOND) == (record_in(one).owner, record_in(other).owner)
    assert {Status.IN_PROGRESS: 1} == one.stats().counts
    one.close()
    other.close()


def test_a_purge_goes_on_where_the_last_one_stopped(server, clock, own):
    store = store_of("sync", server.url, clock=clock)
    server.force_to_disk("everysec")  # how often is not what this is about
    for number in range(1300):
        completed(store, named(f"old-{number}"))
        if number % 3 == 0:
            completed(store, named(f"kept-{number}"), retention_for=None)
    clock.advance(2 * HOUR)

    counts = [store.purge(400) for _ in range(5)]
    trips = Trips(own)
    rest = store.purge(400)

    assert ([400, 400, 400, 100, 0], 0) == (counts, rest)
    assert trips.asked()["scan"] <= 3
    assert {Status.COMPLETED: 434} == store.stats().counts
    server.force_to_disk("always")
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_whose_answer_was_lost_may_be_given_again(server, kind):
    relay = Relay(server.port)
    store = store_of(kind, f"redis://127.0.0.1:{relay.port}/0")
    store.find(ORDER)

    def lost_once(verb):
        relay.cut_next_reply()
        with pytest.raises(StoreUnavailable):
            verb()
        assert 0 == relay.cut
        return verb()

    claimed = lost_once(lambda: store.claim(claim_of())).record
    renewed = lost_once(lambda: store.renew(ORDER, FIRST))
    done = lost_once(lambda: store.complete(completion_of()))
    store.claim(claim_of(named("freed")))
    freed = lost_once(lambda: store.release(named("freed"), FIRST, "safe", HOUR))
    store.claim(claim_of(named("left")))
    left = lost_once(lambda: store.abandon(named("left"), FIRST, "crashed"))

    assert (FIRST, 1, FIRST) == (claimed.owner, claimed.executions, renewed.owner)
    assert done == record_in(store)
    assert (True, True) == (freed, left)
    store.close()
    relay.close()


def test_an_error_of_the_driver_says_what_it_means(server):
    class Losing:
        """A client whose replies are lost after the server has done the work."""

        def __init__(self, client):
            self._client = client
            self.loses = False

        def __getattr__(self, name):
            return getattr(self._client, name)

        def execute_command(self, *args, **options):
            answer = self._client.execute_command(*args, **options)
            if self.loses:
                raise redis.ConnectionError("Connection closed by server.")
            return answer

    client = Losing(redis.Redis.from_url(server.url))
    store = store_of("sync", client)
    store.find(ORDER)
    client.loses = True
    for verb in (
        lambda: store.claim(claim_of()),
        lambda: store.complete(completion_of()),
    ):
        with pytest.raises(Exception, match="cannot be reached") as lost:
            verb()
        assert "StoreUnavailable" == type(lost.value).__name__
        client.loses = False
        answer = verb()
        client.loses = True
    client.loses = False

    assert (FIRST, Status.COMPLETED) == (answer.owner, answer.status)
    assert 1 == record_in(store).executions
    client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_claims_waits_for_no_answer_of_its_own(server, kind):
    relay = Relay(server.port)
    store = store_of(kind, f"redis://127.0.0.1:{relay.port}/0")
    store.claim(claim_of(named("warm")))
    commands = [claim_of(named(f"{n}")) for n in range(100)]

    relay.turns = 0
    claimed = store.claim_many(commands)

    # The driver writes some 6 kB at a time, and the server may answer in between.
    assert relay.turns < 15
    assert [each.owner for each in commands] == [each.record.owner for each in claimed]
    store.close()
    relay.close()


def test_a_batch_of_claims_is_a_script_for_each(store, own):
    known(store)
    trips = Trips(own)

    store.claim_many([claim_of(named(f"{n}")) for n in range(10)])

    assert 10 == trips.scripts()


def test_a_server_that_forgot_the_script_is_told_again(store, own):
    own.script_flush()

    claimed = store.claim_many([claim_of(named(f"{n}")) for n in range(3)])

    assert {FIRST} == {each.record.owner for each in claimed}


def test_a_torn_record_spoils_no_other_of_a_batch(store, own):
    completed(store, named("outcome"))
    own.hdel(b"keyonce:r:{5:alice12:POST /orders7:outcome}", "o")
    completed(store, named("head"))
    own.hdel(b"keyonce:r:{5:alice12:POST /orders4:head}", "h")

    one, torn, headless, two = store.claim_many(
        [claim_of(named(key), SECOND) for key in ("one", "outcome", "head", "two")]
    )

    assert {RecordUnreadable} == {type(torn), type(headless)}
    assert {SECOND} == {one.record.owner, two.record.owner}
