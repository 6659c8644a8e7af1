# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The claim inside the handler's transaction: duplicates wait for its end."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import psycopg
import pytest

from keyonce.core.guarantee import Guarantee
from keyonce.core.states import Status
from keyonce.stores.postgres import PostgresStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    OTHER_PAYLOAD,
    SECOND,
    THIRD,
    claim_of,
    completed,
    completion_of,
    named,
    pass_lease,
    record_in,
)
from tests.stores.postgres.callers import (
    EFFECT,
    KINDS,
    AsyncOrm,
    Asyncpg,
    effects,
    make_effects,
)

LEVELS = ["read committed", "repeatable read", "serializable"]
AGAIN = Guarantee.AT_LEAST_ONCE


@pytest.fixture(scope="module")
def database(quick_server):
    url = quick_server.url(quick_server.new_database())
    make_effects(url)
    return url


@pytest.fixture
def emptied(database):
    PostgresStore(database).close()
    tables = "keyonce_records, keyonce_renewals, keyonce_audits, effects"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {tables}")
    return database


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
async def caller(request, emptied, clock):
    caller = request.param(emptied, clock=clock)
    yield caller
    await caller.close()


@pytest.fixture(params=[Asyncpg, AsyncOrm], ids=lambda kind: kind.__name__)
async def loop(request, emptied, clock):
    """Callers in one loop, so that one can wait while another goes on."""
    caller = request.param(emptied, clock=clock)
    yield caller
    await caller.close()


async def until_it_waits(url, task):
    deadline = time.monotonic() + 20
    sql = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with psycopg.connect(url, autocommit=True) as stage:
        while not task.done() and stage.execute(sql).fetchone() == (0,):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("level", LEVELS)
async def test_claim_effect_and_outcome_are_one(caller, clock, level):
    async with caller.transaction(level) as transaction:
        claimed = await transaction.claim(claim_of())
        unseen = await caller.find(ORDER)
        await transaction.run(EFFECT)
        done = await transaction.complete(completion_of())
        await transaction.commit()

    assert (FIRST, 1, clock()) == (
        claimed.record.owner,
        claimed.record.executions,
        claimed.now,
    )
    assert None is unseen
    assert ANSWER == done.result
    assert done == (await caller.find(ORDER)).record
    assert 1 == effects(caller.url)


async def test_what_is_rolled_back_was_never_claimed(caller):
    async with caller.transaction() as transaction:
        await transaction.claim(claim_of())
        await transaction.run(EFFECT)
        await transaction.rollback()

    assert None is await caller.find(ORDER)
    assert 0 == effects(caller.url)


@pytest.mark.parametrize("level", LEVELS)
async def test_a_duplicate_waits_no_longer_than_asked_and_its_transaction_lives(
    caller, level
):
    async with caller.transaction(level) as first:
        await first.claim(claim_of())
        async with caller.transaction(level) as second:
            await second.run(EFFECT)
            began = time.monotonic()
            answer = await second.claim(claim_of(owner=SECOND), lock_timeout=0.2)
            took = time.monotonic() - began
            limit = await second.run("SELECT current_setting('lock_timeout')")
            await second.run(EFFECT)
            await second.commit()
        await first.rollback()

    assert None is answer
    assert 0.2 <= took < 3
    assert "0" == limit
    assert 2 == effects(caller.url)


@pytest.mark.parametrize("level", LEVELS)
async def test_a_duplicate_that_waited_is_given_the_outcome(loop, level):
    async with loop.transaction(level) as first, loop.transaction(level) as second:
        await first.claim(claim_of())
        await second.run(EFFECT)
        waiting = asyncio.create_task(second.claim(claim_of(owner=SECOND)))
        await until_it_waits(loop.url, waiting)
        done = await first.complete(completion_of())
        await first.commit()
        answer = await waiting
        await second.run(EFFECT)
        await second.commit()

    assert done == answer.record
    assert 2 == effects(loop.url)


async def test_a_duplicate_that_waited_for_nothing_has_the_key(loop):
    async with loop.transaction() as first, loop.transaction() as second:
        await first.claim(claim_of())
        waiting = asyncio.create_task(second.claim(claim_of(owner=SECOND)))
        await until_it_waits(loop.url, waiting)
        await first.rollback()
        answer = await waiting
        await second.commit()

    assert SECOND == answer.record.owner
    assert SECOND == (await loop.find(ORDER)).record.owner


async def test_a_key_that_runs_elsewhere_is_in_flight_at_once(caller):
    running = await caller.claim(claim_of())
    async with caller.transaction() as transaction:
        seen = await transaction.claim(claim_of(owner=SECOND))
        # Nothing stays locked: its owner renews and completes.
        await caller.renew(ORDER, FIRST)
        await transaction.commit()

    assert running.record == seen.record


async def test_another_payload_is_seen_as_such(caller):
    running = await caller.claim(claim_of())
    async with caller.transaction() as transaction:
        seen = await transaction.claim(
            claim_of(owner=SECOND, fingerprint=OTHER_PAYLOAD)
        )
        await transaction.rollback()

    assert running.record == seen.record


@pytest.mark.parametrize("level", LEVELS)
async def test_a_key_that_is_free_again_is_claimed(loop, clock, level):
    store = PostgresStore(loop.url, clock=clock)
    completed(store)
    store.claim(claim_of(named("freed")))
    store.release(named("freed"), FIRST, "safe", None)
    clock.advance(2 * HOUR)

    async with loop.transaction(level) as transaction:
        anew = await transaction.claim(claim_of(owner=SECOND))
        again = await transaction.claim(claim_of(named("freed"), SECOND))
        await transaction.commit()

    assert (SECOND, 1) == (anew.record.owner, anew.record.executions)
    assert (SECOND, 2) == (again.record.owner, again.record.executions)
    assert anew.record == record_in(store)
    store.close()


async def test_a_free_key_that_is_being_claimed_is_waited_for(loop, clock):
    store = PostgresStore(loop.url, clock=clock)
    store.claim(claim_of())
    store.release(ORDER, FIRST, "safe", None)

    async with loop.transaction() as first, loop.transaction() as second:
        await first.claim(claim_of(owner=SECOND))
        late = await second.claim(claim_of(owner=THIRD), lock_timeout=0.1)
        waiting = asyncio.create_task(second.claim(claim_of(owner=THIRD)))
        await until_it_waits(loop.url, waiting)
        await first.commit()
        answer = await waiting
        await second.rollback()

    assert None is late
    assert SECOND == answer.record.owner
    store.close()


@pytest.mark.parametrize("guarantee", [AGAIN, Guarantee.AT_MOST_ONCE])
async def test_a_lease_that_has_ended_is_ended_in_its_way(loop, clock, guarantee):
    store = PostgresStore(loop.url, clock=clock)
    store.claim(claim_of(guarantee=guarantee))
    store.renew(ORDER, FIRST)
    seen = record_in(store)
    pass_lease(clock)
    command = claim_of(owner=SECOND, guarantee=guarantee, witnessed=seen.lease_until)

    async with loop.transaction() as transaction:
        answer = await transaction.claim(command)
        await transaction.commit()

    assert answer.record == record_in(store)
    if guarantee is AGAIN:
        assert (SECOND, 2) == (answer.record.owner, answer.record.executions)
    else:
        assert Status.UNKNOWN is answer.record.status
    store.close()


async def test_two_that_stand_in_each_others_way_do_not_both_fail(loop):
    async with loop.transaction() as first, loop.transaction() as second:
        await first.claim(claim_of(named("a")))
        await second.claim(claim_of(named("b"), SECOND))
        answers = await asyncio.gather(
            first.claim(claim_of(named("b"), FIRST), lock_timeout=10),
            ended(second, second.claim(claim_of(named("a"), SECOND), lock_timeout=10)),
        )
        await first.commit()

    assert 1 <= sum(answer is None for answer in answers)


async def ended(transaction, claiming):
    answer = await claiming
    await transaction.rollback()
    return answer


async def test_an_outcome_kept_in_a_partition_is_given_whatever_the_search_path(
    emptied, clock
):
    store = PostgresStore(emptied, clock=clock, partitions=timedelta(days=1))
    done = completed(store)
    with psycopg.connect(emptied) as connection:
        connection.execute("SET LOCAL search_path = pg_catalog")
        joined = store.joined(connection)
        seen = joined.claim(claim_of(owner=SECOND), lock_timeout=1)
        late = joined.complete(completion_of(owner=SECOND))

    assert seen is not None
    assert done == seen.record == late
    store.close()
