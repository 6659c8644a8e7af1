# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The outcome as part of the caller's own transaction: effect and record, or neither."""

from __future__ import annotations

import asyncio

import asyncpg
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Note
from keyonce.core.states import Status
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    LEASE,
    ORDER,
    SECOND,
    claim_of,
    completion_of,
    pass_lease,
    record_in,
    settlement_of,
)
from tests.servers.relay import Relay
from tests.stores.postgres.callers import (
    EFFECT,
    KINDS,
    Asyncpg,
    Psycopg,
    alchemy,
    effects,
    make_effects,
)
from tests.stores.programs import said, started, tell

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


@pytest.fixture
async def one(emptied, clock):
    caller = Psycopg(emptied, clock=clock)
    yield caller
    await caller.close()


def status_seen(store):
    return record_in(store).status


@pytest.mark.parametrize("level", LEVELS)
async def test_effect_and_outcome_commit_together_whatever_is_renewed_meanwhile(
    caller, clock, level
):
    await caller.claim(claim_of(guarantee=Guarantee.EXACTLY_ONCE))

    async with caller.transaction(level) as transaction:
        await transaction.run(EFFECT)
        for _ in range(3):
            clock.advance(LEASE / 3)
            renewed = await caller.renew(ORDER, FIRST)
            assert clock() + LEASE == renewed.lease_until
        done = await transaction.complete(completion_of(reference="charge-1"))
        clock.advance(LEASE / 3)
        beside = await caller.renew(ORDER, FIRST)
        before = await caller.find(ORDER)
        await transaction.commit()

    after = await caller.find(ORDER)
    assert (Status.COMPLETED, FIRST, ANSWER) == (done.status, done.owner, done.result)
    assert clock() + LEASE == beside.lease_until
    assert Status.IN_PROGRESS is before.record.status
    assert done == after.record
    assert "charge-1" == after.record.reference
    assert 1 == effects(caller.url)
    assert None is await caller.renew(ORDER, FIRST)


@pytest.mark.parametrize("level", LEVELS)
async def test_what_was_noted_before_the_transaction_is_no_hindrance(caller, level):
    await caller.claim(claim_of())
    await caller.note(Note(ORDER, FIRST, b"halfway", "ch_1"))

    async with caller.transaction(level) as transaction:
        await transaction.run(EFFECT)
        done = await transaction.complete(completion_of())
        await transaction.commit()

    after = await caller.find(ORDER)
    assert (Status.COMPLETED, b"", "ch_1") == (done.status, done.steps, done.reference)
    assert done == after.record
    assert await caller.note(Note(ORDER, FIRST, b"late")) is False


async def test_whoever_claims_in_a_transaction_finds_what_was_noted(caller):
    others = PostgresStore(caller.url)
    others.claim(claim_of())
    others.note(Note(ORDER, FIRST, b"halfway", "ch_1"))
    others.release(ORDER, FIRST, "safe", None)
    others.close()

    async with caller.transaction() as transaction:
        claimed = (await transaction.claim(claim_of(owner=SECOND))).record
        await transaction.commit()

    after = await caller.find(ORDER)
    assert (SECOND, b"halfway", "ch_1") == (
        claimed.owner,
        claimed.steps,
        claimed.reference,
    )
    assert claimed == after.record


@pytest.mark.parametrize("level", LEVELS)
async def test_what_is_rolled_back_is_neither_done_nor_stored(caller, level):
    await caller.claim(claim_of())
    before = await caller.find(ORDER)

    async with caller.transaction(level) as transaction:
        await transaction.run(EFFECT)
        await transaction.complete(completion_of())
        await transaction.rollback()

    assert before == await caller.find(ORDER)
    assert 0 == effects(caller.url)


async def test_completing_first_and_twice_is_completing(caller):
    await caller.claim(claim_of())

    async with caller.transaction() as transaction:
        once = await transaction.complete(completion_of())
        twice = await transaction.complete(completion_of())
        await transaction.run(EFFECT)
        await transaction.commit()

    assert once == twice == (await caller.find(ORDER)).record
    assert 1 == effects(caller.url)


@pytest.mark.parametrize("level", LEVELS)
async def test_an_owner_that_was_taken_over_is_given_the_winners_record(
    caller, clock, level
):
    first = await caller.claim(claim_of(guarantee=AGAIN))
    async with caller.transaction(level) as transaction:
        await transaction.run(EFFECT)
        pass_lease(clock)
        won = await caller.claim(
            claim_of(owner=SECOND, guarantee=AGAIN, witnessed=first.record.lease_until)
        )
        seen = await transaction.complete(completion_of())
        await transaction.rollback()

    assert SECOND == won.record.owner
    assert won.record == seen
    assert won.record == (await caller.find(ORDER)).record
    assert 0 == effects(caller.url)


@pytest.mark.parametrize("level", LEVELS)
async def test_an_owner_whose_key_was_settled_sees_that(one, clock, level):
    await one.claim(claim_of())
    async with one.transaction(level) as transaction:
        await transaction.run(EFFECT)
        pass_lease(clock)
        settled = one.store.settle(settlement_of())
        seen = await transaction.complete(completion_of())
        await transaction.rollback()

    assert settled == seen
    assert Status.RELEASED is seen.status


async def test_what_is_gone_is_none(caller):
    async with caller.transaction() as transaction:
        assert None is await transaction.complete(completion_of())


@pytest.mark.parametrize("level", LEVELS[1:])
async def test_a_transaction_older_than_the_claim_is_told_so(one, level):
    async with one.transaction(level) as transaction:
        await transaction.run(EFFECT)
        await one.claim(claim_of())
        with pytest.raises(ConfigurationError, match="before the key was claimed"):
            await transaction.complete(completion_of())

    assert Status.IN_PROGRESS is record_in(one.store).status


async def test_a_serialization_failure_that_is_not_ours_goes_through(one):
    await one.claim(claim_of())
    with psycopg.connect(one.url, autocommit=True) as other:
        async with one.transaction("repeatable read") as transaction:
            await transaction.run("SELECT 1 FROM keyonce_records")
            other.execute("UPDATE keyonce_records SET reason = 'touched'")
            with pytest.raises(psycopg.errors.SerializationFailure):
                await transaction.complete(completion_of())


async def test_an_open_outcome_stops_neither_other_keys_nor_duplicates(one, clock):
    await one.claim(claim_of(guarantee=AGAIN))
    async with one.transaction() as transaction:
        await transaction.complete(completion_of())
        pass_lease(clock)
        seen = record_in(one.store)
        command = claim_of(owner=SECOND, guarantee=AGAIN, witnessed=seen.lease_until)
        duplicate = await asyncio.wait_for(
            asyncio.to_thread(one.store.claim, command), 2
        )
        other = one.store.claim(claim_of(ORDER._replace(key="other")))
        assert 0 == one.store.purge()
        await transaction.commit()

    assert (Status.IN_PROGRESS, FIRST) == (
        duplicate.record.status,
        duplicate.record.owner,
    )
    assert FIRST == other.record.owner
    assert Status.COMPLETED is status_seen(one.store)


async def test_nothing_of_the_session_is_changed(caller):
    asked = (
        "SELECT current_setting('lock_timeout') || current_setting('search_path')"
        " || current_setting('transaction_isolation')"
    )
    async with caller.transaction("repeatable read") as transaction:
        await transaction.run("SET LOCAL lock_timeout = '7s'")
        before = await transaction.run(asked)
        await transaction.claim(claim_of())
        await transaction.complete(completion_of())

        assert before == await transaction.run(asked)


async def test_a_search_path_that_leads_elsewhere_does_not_matter(caller):
    await caller.claim(claim_of())
    async with caller.transaction() as transaction:
        await transaction.run(EFFECT)
        await transaction.run("SET LOCAL search_path = pg_catalog")
        done = await transaction.complete(completion_of())
        await transaction.commit()

    assert done == (await caller.find(ORDER)).record


@pytest.mark.parametrize("row_factory", [psycopg.rows.dict_row])
async def test_a_row_factory_of_the_callers_does_not_matter(one, row_factory):
    await one.claim(claim_of())
    with psycopg.connect(one.url, row_factory=row_factory) as connection:
        done = one.store.joined(connection).complete(completion_of())

    assert done == record_in(one.store)


async def test_without_a_transaction_it_is_refused_and_nothing_written(emptied):
    threads, loops = Psycopg(emptied), Asyncpg(emptied)
    await threads.claim(claim_of())
    with psycopg.connect(emptied, autocommit=True) as connection:
        with pytest.raises(ConfigurationError, match="No transaction is open"):
            threads.store.joined(connection).complete(completion_of())

    bare = await asyncpg.connect(emptied)
    with pytest.raises(ConfigurationError, match="No transaction is open"):
        await loops.store.joined(bare).claim(claim_of(), lock_timeout=1)
    await bare.close()

    async with await psycopg.AsyncConnection.connect(
        emptied, autocommit=True
    ) as connection:
        with pytest.raises(ConfigurationError, match="No transaction is open"):
            await loops.store.joined(connection).complete(completion_of())

    assert Status.IN_PROGRESS is status_seen(threads.store)
    await threads.close()
    await loops.close()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_sqlalchemys_autocommit_is_refused_and_nothing_written(emptied, driver):
    loops, threads = Asyncpg(emptied), Psycopg(emptied)
    await threads.claim(claim_of())
    url = alchemy(emptied, driver)
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.begin() as connection:
        with pytest.raises(ConfigurationError, match="No transaction is open"):
            await loops.store.joined(connection).complete(completion_of())
    await engine.dispose()
    if driver == "psycopg":
        under = create_engine(url, isolation_level="AUTOCOMMIT")
        with under.begin() as connection:
            with pytest.raises(ConfigurationError, match="No transaction is open"):
                threads.store.joined(connection).complete(completion_of())
        under.dispose()

    assert Status.IN_PROGRESS is status_seen(threads.store)
    await threads.close()
    await loops.close()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_another_database_is_refused_and_nothing_written(
    quick_server, emptied, kind
):
    twin = kind(quick_server.url(quick_server.new_database()))
    await twin.claim(claim_of())
    ours = kind(emptied)
    async with twin.transaction() as transaction:
        transaction.joined = ours.store.joined(transaction.connection)
        with pytest.raises(ConfigurationError, match="the store's own database"):
            await transaction.complete(completion_of())
        with pytest.raises(ConfigurationError, match="the store's own database"):
            await transaction.claim(claim_of(owner=SECOND))
        await transaction.commit()

    assert Status.IN_PROGRESS is (await twin.find(ORDER)).record.status
    await ours.close()
    await twin.close()


async def test_a_server_that_was_started_anew_is_known_again(server, url):
    make_effects(url)
    store = PostgresStore(url)
    store.claim(claim_of())
    with psycopg.connect(url) as connection:
        store.joined(connection).complete(completion_of())
        connection.rollback()
    server.restart()

    with psycopg.connect(url) as connection:
        done = store.joined(connection).complete(completion_of())

    assert done == record_in(store)
    assert ANSWER == done.result
    store.close()


@pytest.mark.parametrize("wrong", [object(), "postgresql://here/there", None])
async def test_what_is_no_connection_is_refused_with_the_mend(emptied, wrong):
    store, loop_store = PostgresStore(emptied), AsyncPostgresStore(emptied)

    with pytest.raises(ConfigurationError, match="give it a psycopg"):
        store.joined(wrong)
    with pytest.raises(ConfigurationError, match="give it a psycopg"):
        loop_store.joined(wrong)

    store.close()
    await loop_store.close()


async def test_a_connection_of_the_other_kind_is_refused(emptied):
    store = PostgresStore(emptied)

    async with await psycopg.AsyncConnection.connect(emptied) as connection:
        with pytest.raises(ConfigurationError, match="cannot join a psycopg"):
            store.joined(connection)

    store.close()


async def test_complete_is_one_round_trip_once_the_connection_is_known(
    one, quick_server
):
    relay = Relay(quick_server.port)
    url = one.url.replace(f":{quick_server.port}/", f":{relay.port}/")
    with psycopg.connect(url) as connection:
        joined = one.store.joined(connection)
        for key in map(str, range(8)):  # until all is prepared
            await one.claim(claim_of(ORDER._replace(key=key)))
            relay.turns = 0
            joined.complete(completion_of(ORDER._replace(key=key)))

        assert 1 == relay.turns
    relay.close()


WORKER = """
import psycopg
from keyonce.stores.postgres import PostgresStore
store = PostgresStore(sys.argv[1])
store.claim(claim_of(guarantee=Guarantee.EXACTLY_ONCE))
connection = psycopg.connect(sys.argv[1])
connection.execute("INSERT INTO effects (name) VALUES ('done')")
done = store.joined(connection).complete(completion_of())
say(done.status.word)
hear()
connection.commit()
say("committed")
hear()
"""


@pytest.mark.parametrize("commits", [False, True])
def test_a_worker_killed_around_its_commit_leaves_both_or_neither(emptied, commits):
    with started(WORKER, emptied) as process:
        assert "completed" == said(process)
        if commits:
            tell(process)
            assert "committed" == said(process)
        process.kill()
        process.wait()

    store = PostgresStore(emptied)
    status = status_seen(store)
    store.close()
    assert (Status.COMPLETED if commits else Status.IN_PROGRESS) is status
    assert (1 if commits else 0) == effects(emptied)
