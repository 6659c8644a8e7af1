# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes in partitions: the whole contract, and how they come and go."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count

import asyncpg
import psycopg
import pytest

from keyonce.core.codec import encode
from keyonce.core.errors import ConfigurationError, RecordUnreadable, SettlementRefused
from keyonce.core.states import Status
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.stores.postgres.asyncpg_pool import AsyncpgPool
from keyonce.stores.postgres.queries import bare_queries
from keyonce.stores.url import open_store
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    SECOND,
    YEAR,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
    settlement_of,
)
from tests.stores.postgres.test_contract import emptied, isolated

DAY = 24 * HOUR
DAYS = timedelta(days=2)
WITHIN = 20

APART = "SELECT count(*) FROM keyonce_records WHERE kept_in IS NOT NULL"
WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)
KEPT = "SELECT count(*) FROM keyonce_outcomes"
NAMES = (
    "SELECT inhrelid::regclass::text FROM pg_inherits"
    " WHERE inhparent = 'keyonce_outcomes'::regclass ORDER BY 1"
)


@pytest.fixture
def clock():
    return FakeClock()


def told(url, sql):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def number(url, sql):
    return told(url, sql)[0][0]


def apart(url, clock, **more):
    return PostgresStore(url, clock=clock, purge_every=None, partitions=DAYS, **more)


def until(there):
    deadline = time.monotonic() + WITHIN
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def any_database(every_server):
    return every_server.url(every_server.new_database())


@pytest.fixture(scope="module")
def database(quick_server):
    return quick_server.new_database()


class TestPostgresStoreWithPartitions(StoreContract):
    @pytest.fixture
    def store(self, clock, any_database):
        store = apart(emptied(any_database), clock)
        yield store
        store.close()

    def test_a_whole_outcome_is_read_from_its_partition(self, store, any_database):
        completed(store)

        assert 1 == number(any_database, APART)
        assert ANSWER == record_in(store).result
        assert ANSWER == store.claim(claim_of(owner=SECOND)).record.result


class TestAsyncPostgresStoreWithPartitions(StoreContract):
    """Behind a pooler, which hands out its sessions transaction by transaction."""

    @pytest.fixture
    def store(self, clock, quick_server, pooler, database):
        emptied(quick_server.url(database))
        url = pooler.url(database)
        store = StorePortal(
            AsyncPostgresStore(url, clock=clock, purge_every=None, partitions=DAYS)
        )
        yield store
        store.close()

    def test_a_whole_outcome_is_read_from_its_partition(
        self, store, quick_server, database
    ):
        completed(store)

        assert 1 == number(quick_server.url(database), APART)
        assert ANSWER == record_in(store).result


class TestPartitionsBesideNone(StoreContract):
    """Completed by a process with partitions; all else by one without.

    At the strictest isolation level.
    """

    @pytest.fixture
    def store(self, clock, quick_server, database):
        url = isolated(emptied(quick_server.url(database)), "serializable")
        completing = apart(url, clock)
        others = PostgresStore(url, clock=clock, purge_every=None)
        yield Divided(completing, others)
        completing.close()
        others.close()


class Divided:
    """One store to complete, another for the other verbs."""

    def __init__(self, completing, others):
        self.complete = completing.complete
        self._others = others

    def __getattr__(self, verb):
        return getattr(self._others, verb)


def test_partitions_are_there_before_the_first_outcome(url, clock):
    apart(url, clock).close()

    today = int(clock() // (2 * DAY))
    expected = [
        (f"keyonce_outcomes_{each * 172800}_{(each + 1) * 172800}",)
        for each in (today, today + 1, today + 2)
    ]
    assert expected == told(url, NAMES)


def test_an_outcome_that_finds_no_partition_stays_with_its_record(url, clock):
    store = apart(url, clock)

    completed(store, retention_for=YEAR)

    assert 0 == number(url, APART)
    assert ANSWER == record_in(store).result
    store.close()


def test_upkeep_makes_the_partitions_that_outcomes_have_missed(url, clock):
    store = apart(url, clock)
    completed(store, named("first"), retention_for=YEAR)

    until(lambda: len(told(url, NAMES)) == 6)
    completed(store, named("second"), retention_for=YEAR)

    assert 1 == number(url, APART)
    store.close()


async def test_upkeep_makes_them_beside_a_loop(url, clock):
    store = AsyncPostgresStore(url, clock=clock, purge_every=None, partitions=DAYS)
    await store.claim(claim_of())
    await store.complete(completion_of(retention_for=YEAR))

    until(lambda: len(told(url, NAMES)) == 6)

    await store.close()


async def test_a_pool_of_asyncpg_makes_and_drops_them(url, clock):
    async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        store = AsyncPostgresStore(
            AsyncpgPool(pool, url=url), clock=clock, purge_every=None, partitions=DAYS
        )
        await store.claim(claim_of())
        await store.complete(completion_of())
        replayed = await store.claim(claim_of(owner=SECOND))
        kept = number(url, KEPT)
        clock.advance(30 * DAY)
        await store.tend()
        await store.purge()

        assert 1 == kept
        assert ANSWER == replayed.record.result
        assert 3 == len(told(url, NAMES))
        await store.close()


async def test_an_async_store_may_be_told_to_make_them(url, clock):
    store = AsyncPostgresStore(url, clock=clock, purge_every=None, partitions=DAYS)
    before = len(told(url, NAMES))
    clock.advance(2 * DAY)

    await store.tend()

    assert before + 1 == len(told(url, NAMES))
    await store.close()


def test_time_goes_on_and_so_do_partitions(url, clock):
    store = apart(url, clock)

    for day in range(12):
        completed(store, named(str(day)))
        clock.advance(DAY)
        store.tend()

    assert 12 == number(url, APART)
    store.close()


def test_what_is_kept_for_ever_stays_with_its_record(url, clock):
    store = apart(url, clock)

    completed(store, retention_for=None)

    assert 0 == number(url, APART)
    assert 0 == number(url, KEPT)
    store.close()


def test_a_partition_goes_when_all_of_it_is_past(url, clock):
    store = apart(url, clock)
    completed(store)
    there = len(told(url, NAMES))
    ends = (clock() // (2 * DAY) + 1) * 2 * DAY

    clock.advance(ends - clock() + 59)
    store.purge()
    too_early = len(told(url, NAMES))
    clock.advance(1)
    store.purge()

    assert there == too_early
    assert there - 1 == len(told(url, NAMES))
    assert 0 == number(url, KEPT)
    store.close()


@pytest.mark.parametrize("turned_on", [True, False])
async def test_async_stores_and_those_without_partitions_drop_them_too(
    url, clock, turned_on
):
    before = apart(url, clock)
    completed(before)
    before.close()
    clock.advance(30 * DAY)
    store = AsyncPostgresStore(
        url, clock=clock, purge_every=None, partitions=DAYS if turned_on else None
    )

    await store.purge()

    assert 0 == number(url, KEPT)
    assert (3 if turned_on else 0) == len(told(url, NAMES))
    await store.close()


def test_a_record_whose_outcome_went_in_time_is_a_new_request(url, clock):
    store = apart(url, clock)
    completed(store)
    clock.advance(30 * DAY)
    told(url, f"DROP TABLE {told(url, NAMES)[0][0]}")
    fresh = apart(url, clock)

    assert fresh.find(named("order-1")) is None
    claimed = fresh.claim(claim_of(owner=SECOND)).record

    assert (Status.IN_PROGRESS, SECOND, 1) == (
        claimed.status,
        claimed.owner,
        claimed.executions,
    )
    assert 0 == number(url, APART)
    store.close()
    fresh.close()


def test_a_late_retry_meets_the_tombstone_of_an_outcome_that_went(url, clock):
    store = apart(url, clock)
    completed(store, late_for=60 * DAY)
    clock.advance(30 * DAY)

    told(url, f"DROP TABLE {told(url, NAMES)[0][0]}")
    seen = store.claim(claim_of(owner=SECOND)).record.status
    purged = store.purge()

    assert Status.TOMBSTONE == seen
    assert 1 == purged
    assert Status.TOMBSTONE == record_in(store).status
    assert 0 == number(url, APART)
    store.close()


def test_an_outcome_that_went_too_early_is_torn_and_never_run_again(url, clock):
    store = apart(url, clock)
    completed(store)

    told(url, f"DROP TABLE {told(url, NAMES)[0][0]}")

    with pytest.raises(RecordUnreadable):
        store.find(named("order-1"))
    with pytest.raises(RecordUnreadable):
        store.claim(claim_of(owner=SECOND))
    store.settle(settlement_of(result=ANSWER))
    assert ANSWER == record_in(store).result
    store.close()


def test_a_partition_dropped_by_hand_fails_no_completion(url, clock):
    store = apart(url, clock)
    store.claim(claim_of())
    for (name,) in told(url, NAMES):
        told(url, f"DROP TABLE {name}")

    done = store.complete(completion_of())

    assert done is not None
    assert ANSWER == record_in(store).result
    store.close()


def test_the_next_owner_never_gets_what_the_last_one_left(url, clock):
    store = apart(url, clock)
    completed(store)
    # What a program that knows no partitions leaves behind when it takes the key anew.
    told(url, "UPDATE keyonce_records SET owner = 'another', result = NULL")

    with pytest.raises(RecordUnreadable):
        store.find(named("order-1"))

    store.close()


def test_partitions_of_another_width_are_left_alone(url, clock):
    apart(url, clock).close()
    before = told(url, NAMES)
    store = PostgresStore(
        url, clock=clock, purge_every=None, partitions=timedelta(hours=1)
    )

    completed(store)

    assert ANSWER == record_in(store).result
    assert set(before) <= set(told(url, NAMES))
    store.close()


def test_dropping_waits_for_nobody_and_stalls_nobody(url, clock):
    store = apart(url, clock)
    completed(store)
    clock.advance(30 * DAY)
    store.tend()
    with psycopg.connect(url) as other:
        other.execute("SELECT count(*) FROM keyonce_outcomes")
        began = time.monotonic()
        store.purge()
        store.claim(claim_of(named("new"), SECOND))
        took = time.monotonic() - began
        still = number(
            url,
            NAMES.replace("inhrelid::regclass::text", "count(*)").replace(
                " ORDER BY 1", ""
            ),
        )
        other.rollback()

    store.purge()

    assert took < 2
    assert 6 == still
    assert 3 == len(told(url, NAMES))
    store.close()


def test_claims_and_completions_go_on_while_a_partition_is_made(url, clock):
    """Making one takes no lock that a completion or a replay wants."""
    store = apart(url, clock)
    completed(store, named("done"))
    with psycopg.connect(url) as maker:
        maker.execute("CREATE TABLE more (LIKE keyonce_outcomes)")
        maker.execute(
            "ALTER TABLE keyonce_outcomes ATTACH PARTITION more"
            " FOR VALUES FROM (1) TO (2)"
        )

        completed(store, named("beside"))

        assert ANSWER == record_in(store, named("done")).result
        maker.rollback()
    store.close()


def test_several_processes_make_them_at_once(url, clock):
    stores = []
    threads = [
        threading.Thread(target=lambda: stores.append(apart(url, clock)))
        for _ in range(6)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert 6 == len(stores)
    assert 3 == len(told(url, NAMES))
    for each in stores:
        each.close()


def test_traffic_goes_on_while_partitions_come_and_go(quick_server, clock):
    url = quick_server.url(quick_server.new_database())
    store = apart(url, clock)
    ended = threading.Event()
    answered = []

    def traffic(name):
        for turn in count():
            if ended.is_set():
                return
            identity = named(f"{name}-{turn}")
            completed(store, identity, retention_for=10 * DAY)
            again = store.claim(claim_of(identity, SECOND)).record
            answered.append(again.result)

    with ThreadPoolExecutor(4) as pool:
        busy = [pool.submit(traffic, name) for name in "abcd"]
        try:
            for _ in range(40):
                so_far = len(answered)
                until(lambda so_far=so_far: len(answered) >= so_far + 4)
                clock.advance(DAY / 2)
                store.tend()
                store.purge()
        finally:
            ended.set()
    for each in busy:
        each.result()

    assert {ANSWER} == set(answered)
    assert 0 < number(url, APART)
    assert len(told(url, NAMES)) < 40
    store.close()


def test_a_role_that_may_make_none_is_told_so(url, server, clock):
    PostgresStore(url, clock=clock, purge_every=None).close()
    told(url, "DROP ROLE IF EXISTS keyonce_small")
    told(url, "CREATE ROLE keyonce_small LOGIN PASSWORD 'small'")
    told(url, "GRANT ALL ON ALL TABLES IN SCHEMA public TO keyonce_small")
    small = url.replace("keyonce:a%20word@", "keyonce_small:small@")

    with pytest.raises(ConfigurationError, match="GRANT CREATE ON SCHEMA"):
        apart(small, clock)

    PostgresStore(small, clock=clock, purge_every=None).close()
    told(url, "DROP OWNED BY keyonce_small; DROP ROLE keyonce_small")


def test_the_url_asks_for_them(url):
    separator = "&" if "?" in url else "?"
    store = open_store(f"{url}{separator}keyonce_partitions=1d&application_name=shop")

    completed(store)

    assert ANSWER == record_in(store).result
    assert 3 <= len(told(url, NAMES))
    store.close()


@pytest.mark.parametrize("written", ["", "1", "1w", "-1d", "1.5d", "day"])
def test_a_span_that_is_none_is_refused(url, written):
    with pytest.raises(ConfigurationError, match="keyonce_partitions"):
        open_store(f"{url}?keyonce_partitions={written}")


@pytest.mark.parametrize(
    "span", [timedelta(minutes=9), timedelta(0), timedelta(hours=1, milliseconds=1)]
)
def test_partitions_that_are_too_short_are_refused(url, span):
    with pytest.raises(ConfigurationError, match="at least"):
        PostgresStore(url, partitions=span)


def test_a_claim_locks_no_partition(url, clock):
    store = apart(url, clock)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE keyonce_outcomes IN ACCESS EXCLUSIVE MODE")

        store.claim(claim_of())

        assert Status.IN_PROGRESS == record_in(store).status
        other.rollback()
    store.close()


def test_an_operator_who_waited_for_the_completion_sees_it(url, clock):
    """The record is younger than the statement that waited; so is its outcome."""
    store = apart(url, clock)
    store.claim(claim_of())
    clock.advance(HOUR)
    refused = []

    def settle():
        with pytest.raises(SettlementRefused) as caught:
            store.settle(settlement_of())
        refused.append(str(caught.value))

    with psycopg.connect(url) as other:
        complete = bare_queries()["complete_apart"]
        result = encode(ANSWER)
        values = (clock(), *named("order-1"), FIRST, result, HOUR, None, "", 2 * DAY)
        psycopg.RawCursor(other).execute(complete, values)
        operator = threading.Thread(target=settle)
        operator.start()
        until(lambda: number(url, WAITING))
        other.commit()
        operator.join(WITHIN)

    assert 1 == len(refused)
    assert "completed" in refused[0]
    assert ANSWER == record_in(store).result
    store.close()


def test_doctor_says_whether_outcomes_find_their_partitions(url, clock):
    store = apart(url, clock)

    def found():
        return next(each for each in store.examine() if each.subject == "partitions")

    there = found().level
    for (name,) in told(url, NAMES):
        told(url, f"DROP TABLE {name}")
    gone = found().level
    store.tend()

    assert ("ok", "warning", "ok") == (there, gone, found().level)
    store.close()
