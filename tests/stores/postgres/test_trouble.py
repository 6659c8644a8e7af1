# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Locks, lost replies, servers that stand still: the right answer each time."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from keyonce.core.errors import RecordUnreadable, StoreError, StoreUnavailable
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Fingerprint, Note, Query
from keyonce.core.states import Status
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    pass_lease,
    record_in,
    settlement_of,
)
from tests.servers.relay import Relay
from tests.stores.postgres.test_contract import isolated

SOON = timedelta(seconds=0.5)
LEVELS = ["read committed", "repeatable read", "serializable"]


@pytest.fixture
def store(url):
    store = PostgresStore(url)
    yield store
    store.close()


@contextmanager
def holding(url, sql="SELECT 1 FROM keyonce_records FOR UPDATE"):
    """Keep a transaction open that has run *sql*."""
    with psycopg.connect(url) as other:
        other.execute(sql)
        yield other
        other.rollback()


@pytest.fixture
def relay(server):
    relay = Relay(server.port)
    yield relay
    relay.close()


def through(relay, server, url):
    return url.replace(f":{server.port}/", f":{relay.port}/")


def test_a_claim_waits_neither_for_its_owners_transaction_nor_for_anothers(store, url):
    first = store.claim(claim_of()).record
    began = time.monotonic()

    with holding(url):
        seen = store.claim(claim_of(owner=SECOND)).record
        other = store.claim(claim_of(named("other"))).record

    assert first == seen
    assert FIRST == other.owner
    assert time.monotonic() - began < 1


def test_an_ended_lease_that_is_locked_is_not_taken_over(url):
    clock = FakeClock()
    store = PostgresStore(url, clock=clock)
    again = Guarantee.AT_LEAST_ONCE
    first = store.claim(claim_of(guarantee=again)).record
    pass_lease(clock)
    command = claim_of(owner=SECOND, guarantee=again, witnessed=first.lease_until)

    with holding(url):
        seen = store.claim(command).record
    taken = store.claim(command).record

    assert first == seen
    assert SECOND == taken.owner
    store.close()


def test_an_expired_key_that_is_locked_is_unavailable(url):
    clock = FakeClock()
    store = PostgresStore(url, clock=clock, store_timeout=SOON)
    completed(store)
    clock.advance(2 * HOUR)

    with holding(url), pytest.raises(StoreUnavailable):
        store.claim(claim_of(owner=SECOND))

    assert SECOND == store.claim(claim_of(owner=SECOND)).record.owner
    store.close()


def test_what_is_locked_for_too_long_is_unavailable_and_may_be_repeated(url):
    store = PostgresStore(url, store_timeout=SOON)
    store.claim(claim_of())
    began = time.monotonic()

    with holding(url), pytest.raises(StoreUnavailable):
        store.complete(completion_of())

    assert time.monotonic() - began < 3
    done = store.complete(completion_of())
    assert done is not None
    assert (Status.COMPLETED, ANSWER) == (done.status, done.result)
    store.close()


@pytest.mark.parametrize("level", LEVELS)
def test_a_record_that_changed_while_its_lock_was_waited_for(url, level):
    store = PostgresStore(isolated(url, level))
    store.claim(claim_of())

    with ThreadPoolExecutor(1) as pool:
        sql = "UPDATE keyonce_records SET lease_until = lease_until + 1"
        with holding(url, sql) as other:
            done = pool.submit(store.complete, completion_of())
            time.sleep(0.1)
            other.commit()
        assert done.result() == record_in(store)

        store.claim(claim_of(named("lost")))
        sql = "UPDATE keyonce_records SET owner = 'another' WHERE key = 'lost'"
        with holding(url, sql) as other:
            lost = pool.submit(store.complete, completion_of(named("lost")))
            renewed = store.renew(ORDER, FIRST)  # done: refused, beside every lock
            time.sleep(0.1)
            other.commit()
        kept = lost.result()
        assert kept is not None
        assert b"another" == kept.owner
        assert None is renewed
    store.close()


@pytest.mark.parametrize("level", LEVELS)
def test_crowds_get_one_owner_at_every_level(url, level):
    store = PostgresStore(isolated(url, level))

    with ThreadPoolExecutor(12) as pool:
        for key in ("a", "b", "c"):
            claims = [claim_of(named(key), b"%016d" % n) for n in range(36)]
            answers = list(pool.map(store.claim, claims))
            assert 1 == len({answer.record.owner for answer in answers})
    store.close()


def test_a_deadlock_is_tried_again(store, url):
    store.claim(claim_of())
    run = psycopg.connect(url, autocommit=True)
    run.execute("CREATE SEQUENCE tries")
    run.execute(
        "CREATE FUNCTION bite() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN "
        "IF nextval('tries') > 2 THEN RETURN NEW; END IF; "
        "RAISE 'planned' USING ERRCODE = '40P01'; END $$"
    )
    run.execute(
        "CREATE TRIGGER biting BEFORE UPDATE ON keyonce_records "
        "FOR EACH ROW EXECUTE FUNCTION bite()"
    )

    done = store.complete(completion_of())

    assert done is not None
    assert Status.COMPLETED is done.status
    assert (3,) == run.execute("SELECT last_value FROM tries").fetchone()
    run.close()


def test_a_reply_that_was_lost_after_the_commit(server, url, relay):
    store = PostgresStore(through(relay, server, url))
    store.find(ORDER)

    relay.cut_next_reply()
    claimed = store.claim(claim_of()).record
    relay.cut_next_reply()
    done = store.complete(completion_of())

    assert (FIRST, 1) == (claimed.owner, claimed.executions)
    assert done == record_in(store)
    assert ANSWER == done.result
    store.claim(claim_of(named("freed")))
    relay.cut_next_reply()
    assert store.release(named("freed"), FIRST, "safe", HOUR)
    store.claim(claim_of(named("left")))
    relay.cut_next_reply()
    assert store.abandon(named("left"), FIRST, "crashed")
    assert 0 == relay.cut
    store.close()


def test_a_decision_whose_reply_was_lost_is_not_sent_again(server, url, relay):
    store = PostgresStore(through(relay, server, url))
    store.claim(claim_of())
    store.abandon(ORDER, FIRST, "crashed")

    relay.cut_next_reply()
    with pytest.raises(StoreUnavailable):
        store.settle(settlement_of())

    assert 0 == relay.cut
    assert len(store.audits()) <= 1
    store.close()


def test_first_is_two_round_trips_and_a_replay_one_that_writes_nothing(
    server, url, relay
):
    store = PostgresStore(through(relay, server, url))
    for key in ("a", "b", "c", "d"):  # until everything is prepared
        completed(store, named(key))
        store.claim(claim_of(named(key), SECOND))

    relay.turns = 0
    completed(store)
    first = relay.turns
    store.claim(claim_of(named("noted")))
    store.note(Note(named("noted"), FIRST, b"half"))
    relay.turns = 0
    store.note(Note(named("noted"), FIRST, b"halfway", "ch_1"))
    noted = relay.turns
    before = psycopg.connect(url, autocommit=True)
    counted = before.execute("SELECT txid_snapshot_xmax(txid_current_snapshot())")
    written = counted.fetchone()
    relay.turns = 0
    for _ in range(10):
        store.claim(claim_of(owner=SECOND))
    replays = relay.turns
    stranger = PostgresStore(url)
    stranger.claim(claim_of(owner=SECOND))

    assert (2, 1) == (first, noted)
    assert 10 == replays
    counted = before.execute("SELECT txid_snapshot_xmax(txid_current_snapshot())")
    assert written == counted.fetchone()
    before.close()
    stranger.close()
    store.close()


def test_a_server_that_stands_still_is_unavailable_in_time(server, url):
    store = PostgresStore(url, store_timeout=SOON)
    store.claim(claim_of())
    server.pause()
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.claim(claim_of(owner=SECOND))
        took = time.monotonic() - began
    finally:
        server.go_on()

    assert took < 2
    assert FIRST == store.claim(claim_of(owner=SECOND)).record.owner
    store.close()


async def test_a_server_that_stands_still_is_unavailable_to_a_loop_in_time(server, url):
    store = AsyncPostgresStore(url, store_timeout=SOON)
    await store.claim(claim_of())
    server.pause()
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await store.claim(claim_of(owner=SECOND))
        took = time.monotonic() - began
    finally:
        server.go_on()

    assert took < 2
    assert FIRST == (await store.claim(claim_of(owner=SECOND))).record.owner
    await store.close()


async def test_a_call_that_is_cancelled_gives_its_connection_back(url):
    store = AsyncPostgresStore(url, pool_size=1)
    await store.claim(claim_of())
    with holding(url):
        task = asyncio.create_task(store.complete(completion_of()))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        found = await store.find(ORDER)

    assert found is not None
    assert Status.IN_PROGRESS is found.record.status
    await store.close()


def test_sessions_that_the_server_ends_are_replaced(store, server, url):
    store.claim(claim_of())
    name = url.rpartition("/")[2]
    server.run_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{name}'"
    )

    assert FIRST == store.claim(claim_of(owner=SECOND)).record.owner


async def test_a_loop_after_a_loop_is_served(url):
    store = AsyncPostgresStore(url)

    def in_a_loop_of_its_own():
        return asyncio.run(store.claim(claim_of())).record.owner

    owners = [await asyncio.to_thread(in_a_loop_of_its_own) for _ in range(2)]

    assert [FIRST, FIRST] == owners
    assert FIRST == (await store.claim(claim_of())).record.owner
    await store.close()


async def test_a_users_async_pool_goes_back_as_it_was(url):
    async with AsyncConnectionPool(url, min_size=1, max_size=2) as pool:
        store = AsyncPostgresStore(pool)
        await store.claim(claim_of())
        renewed = await asyncio.to_thread(store.blocking().renew, ORDER, FIRST)
        await store.close()

        async with pool.connection() as connection:
            assert not connection.autocommit
            found = await connection.execute("SELECT key FROM keyonce_records")
            assert [(ORDER.key,)] == await found.fetchall()
    assert renewed is not None


def test_an_identity_that_no_index_holds_is_refused_before_anything_runs(store):
    longest = ORDER._replace(operation="é" * 1200)

    assert FIRST == store.claim(claim_of(longest)).record.owner
    with pytest.raises(StoreError, match="take a shorter scope or operation"):
        store.claim(claim_of(ORDER._replace(operation="é" * 1300)))
    with pytest.raises(StoreError, match="no text that UTF-8 can hold"):
        store.claim(claim_of(named("\ud800")))


def test_what_postgres_cannot_keep_is_refused(store):
    with pytest.raises(StoreError, match="cannot be stored"):
        store.claim(claim_of(fingerprint=Fingerprint("a\0b", b"")))


def test_a_torn_record_is_not_run_and_can_be_settled(store, url):
    completed(store)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("UPDATE keyonce_records SET result = 'torn'")

    with pytest.raises(RecordUnreadable):
        store.claim(claim_of(owner=SECOND))
    with pytest.raises(RecordUnreadable):
        store.find(ORDER)
    assert Status.RELEASED is store.settle(settlement_of()).status
    assert SECOND == store.claim(claim_of(owner=SECOND)).record.owner


def test_a_record_of_the_future_is_listed_as_unknown(store, url):
    completed(store)
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("UPDATE keyonce_records SET guarantee = 99")

    listed = store.records(Query())

    assert [(Status.UNKNOWN, "unreadable")] == [(r.status, r.reason) for r in listed]
    with pytest.raises(RecordUnreadable):
        store.claim(claim_of(owner=SECOND))


def test_whoever_had_to_wait_for_the_server_ends_no_lease(server, url, relay):
    clock = FakeClock()
    store = PostgresStore(through(relay, server, url), clock=clock)
    again = Guarantee.AT_LEAST_ONCE
    first = store.claim(claim_of(guarantee=again)).record
    pass_lease(clock)
    command = claim_of(owner=SECOND, guarantee=again, witnessed=first.lease_until)

    relay.lose_next_question()
    waited = store.claim(command).record
    promptly = store.claim(command).record

    assert first == waited
    assert SECOND == promptly.owner
    store.close()


def test_a_batch_of_claims_is_one_round_trip(server, url, relay):
    store = PostgresStore(through(relay, server, url))
    for n in range(8):  # until everything is prepared
        store.claim_many([claim_of(named(f"{n}-{m}")) for m in range(2)])
    commands = [claim_of(named(f"new-{n}")) for n in range(100)]

    relay.turns = 0
    store.claim_many(commands)
    new = relay.turns
    store.claim_many([command._replace(owner=SECOND) for command in commands])
    taken = relay.turns - new

    assert (1, 1) == (new, taken)
    store.close()


def test_a_torn_record_spoils_no_other_of_a_batch(store, url):
    completed(store, named("torn"))
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("UPDATE keyonce_records SET result = 'torn'")

    one, torn, two = store.claim_many(
        [claim_of(named(key), SECOND) for key in ("one", "torn", "two")]
    )

    assert isinstance(torn, RecordUnreadable)
    assert {SECOND} == {one.record.owner, two.record.owner}
