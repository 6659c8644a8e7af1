# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting by LISTEN and NOTIFY: who is told, who is not, and what breaks."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from keyonce.core.decide import InFlight, Replay
from keyonce.core.guarantee import Guarantee
from keyonce.engine.sync import Guard
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.stores.postgres.asyncpg_pool import AsyncpgPool
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
)
from tests.engine.samples import attempt, identity, paid, policy
from tests.stores.announcing import SOON, Announcing, Listener, waits_for
from tests.stores.postgres.test_contract import emptied, isolated
from tests.stores.programs import run


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(scope="module")
def database(quick_server):
    name = quick_server.new_database()
    PostgresStore(quick_server.url(name)).close()
    return name


@pytest.fixture
def place(quick_server, database):
    return emptied(quick_server.url(database))


class TestPostgresStore(Announcing):
    @pytest.fixture
    def store(self, clock, place):
        store = PostgresStore(place, clock=clock)
        yield store
        store.close()

    @pytest.fixture
    def hearer(self, clock, place):
        store = PostgresStore(place, clock=clock)
        yield store
        store.close()


class TestAsyncPostgresStoreAtRepeatableRead(Announcing):
    @pytest.fixture
    def store(self, clock, place):
        url = isolated(place, "repeatable read")
        store = StorePortal(AsyncPostgresStore(url, clock=clock))
        yield store
        store.close()

    @pytest.fixture
    def hearer(self, clock, place):
        url = isolated(place, "serializable")
        store = StorePortal(AsyncPostgresStore(url, clock=clock))
        yield store
        store.close()


class TestTheStoreOfAnAsyncOneForThreads(Announcing):
    @pytest.fixture
    def store(self, clock, place):
        store = StorePortal(AsyncPostgresStore(place, clock=clock))
        yield store
        store.close()

    @pytest.fixture
    def hearer(self, store):
        return store.blocking()


@pytest.fixture
def store(place):
    store = PostgresStore(place)
    yield store
    store.close()


@pytest.fixture
def hearer(place):
    store = PostgresStore(place)
    yield store
    store.close()


@pytest.fixture
def ear(place):
    """What comes in on the channel, as a stranger hears it."""
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("LISTEN keyonce")
        yield connection


def payloads(ear, seconds=0.3):
    return [notify.payload for notify in ear.notifies(timeout=seconds)]


def sessions(place, kind="LISTEN%"):
    with psycopg.connect(place, autocommit=True) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE %s", (kind,)
        )
        return [pid for (pid,) in found]


def test_nothing_is_told_where_nobody_waits(store, ear):
    completed(store)
    store.claim(claim_of(named("free")))
    store.release(named("free"), FIRST, "safe", HOUR)
    store.claim(claim_of(named("free"), SECOND))
    store.abandon(named("free"), SECOND, "crashed")

    assert [] == payloads(ear)


def test_what_is_told_is_a_digest(store, hearer, ear):
    store.claim(claim_of())
    hearer.announce(ORDER)

    store.complete(completion_of())

    (told,) = payloads(ear, SOON / 10)
    assert 64 == len(told)
    assert set(told) <= set("0123456789abcdef")


def test_a_new_claim_is_announced_anew(store, hearer, ear):
    store.claim(claim_of())
    hearer.announce(ORDER)
    store.release(ORDER, FIRST, "safe", HOUR)
    assert 1 == len(payloads(ear))
    store.claim(claim_of(owner=SECOND))

    store.complete(completion_of(owner=SECOND))

    assert [] == payloads(ear)


def test_an_announcement_never_waits_for_a_lock(store, hearer, place):
    store.claim(claim_of())
    with psycopg.connect(place) as other:
        other.execute("SELECT 1 FROM keyonce_records FOR UPDATE")
        began = time.monotonic()

        announced = hearer.announce(ORDER)

        assert (False, True) == (announced, time.monotonic() - began < 2)
        other.rollback()
    assert hearer.announce(ORDER)


def test_a_transaction_of_the_users_is_not_disturbed(store, hearer):
    store.claim(claim_of(guarantee=Guarantee.EXACTLY_ONCE))

    assert not hearer.announce(ORDER)


def test_whoever_waits_keeps_one_connection_for_all(store, hearer, place):
    names = [named(f"key-{number}") for number in range(30)]
    for name in names:
        store.claim(claim_of(name))
    listeners = [waits_for(hearer, name) for name in names]

    assert 1 == len(sessions(place))

    for name in names:
        store.complete(completion_of(name))
    assert all(listener.heard() for listener in listeners)
    for listener in listeners:
        listener.close()


def test_a_lost_connection_is_replaced_and_everybody_looks(
    store, hearer, place, quick_server
):
    store.claim(claim_of())
    listener = waits_for(hearer)
    (pid,) = sessions(place)

    quick_server.run_sql(f"SELECT pg_terminate_backend({pid})")

    assert listener.heard()
    listener.in_force()
    assert [pid] != sessions(place)
    store.complete(completion_of())
    assert listener.heard()
    listener.close()


def test_closing_leaves_neither_thread_nor_session(place):
    before = set(threading.enumerate())
    store = PostgresStore(place)
    Listener(store).in_force()
    assert "keyonce-news" in {t.name for t in set(threading.enumerate()) - before}

    store.close()

    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert {name for name in left if "keyonce" in name} == set()
    assert [] == gone_soon(lambda: sessions(place))
    assert store.watch(ORDER, print) is None


def gone_soon(found):
    until = time.monotonic() + SOON
    while found() and time.monotonic() < until:
        time.sleep(0.02)
    return found()


def test_a_store_that_nobody_waits_on_has_no_thread(store, place):
    completed(store)

    assert [] == sessions(place)
    assert "keyonce-news" not in {thread.name for thread in threading.enumerate()}


def test_a_fork_listens_for_itself(place):
    told = run(
        """
        import threading
        from keyonce.stores.postgres import PostgresStore
        store = PostgresStore(sys.argv[1])
        def hears(store, name):
            store.claim(claim_of(named(name)))
            woken = threading.Event()
            watch = store.watch(named(name), woken.set)
            while not watch.in_force:
                time.sleep(0.005)
            assert store.announce(named(name))
            woken.clear()
            store.complete(completion_of(named(name)))
            return woken.wait(20)
        first = hears(store, "parent")
        if (child := os.fork()) == 0:
            heard = hears(store, "child")
            store.close()
            os._exit(0 if heard else 1)
        _, ended = os.waitpid(child, 0)
        say(first, ended, hears(store, "parent again"))
        store.close()
        """,
        place,
    )

    assert ["True 0 True"] == told


@contextmanager
def guarded(store):
    guard = Guard(store)
    yield guard
    guard.close()


def test_behind_a_pooler_whoever_waits_asks_again(quick_server, pooler, database):
    emptied(quick_server.url(database))
    store = PostgresStore(pooler.url(database))
    direct = PostgresStore(pooler.url(database), news_url=quick_server.url(database))
    with guarded(store) as owner, guarded(PostgresStore(pooler.url(database))) as other:
        lease = owner.begin(attempt(), policy()).lease
        answers, waits = [], threading.Event()
        waiting = threading.Thread(
            target=lambda: answers.append(
                other.begin(
                    attempt(),
                    policy(),
                    wait_for=timedelta(seconds=SOON),
                    on_wait=waits.set,
                )
            )
        )
        waiting.start()
        assert waits.wait(SOON)
        owner.finish(lease, paid(), policy())
        waiting.join(SOON)

        assert [Replay] == [type(answer) for answer in answers]
        assert other.store.watch(ORDER, print) is None
        findings = {each.subject: each for each in store.examine()}
        assert "warning" == findings["pooler"].level
        assert "LISTEN does not work" in findings["pooler"].detail
        assert "news_url" in findings["pooler"].mend
        other.store.close()
    past = {each.subject: each for each in direct.examine()}
    assert "ok" == past["pooler"].level
    direct.claim(claim_of())
    listener = waits_for(direct)
    store.complete(completion_of())
    assert listener.heard()
    listener.close()
    direct.close()
    store.close()


def test_a_users_pools_are_heard_beside(place):
    with ConnectionPool(place, min_size=1, max_size=2) as pool:
        store = PostgresStore(pool)
        store.claim(claim_of())
        listener = waits_for(store)
        store.complete(completion_of())
        assert listener.heard()
        listener.close()
        store.close()


@pytest.mark.parametrize("kind", ["psycopg", "asyncpg"])
async def test_a_users_async_pools_are_heard_beside(place, kind):
    pool: Any
    store: AsyncPostgresStore
    if kind == "psycopg":
        pool = AsyncConnectionPool(place, min_size=1, max_size=2, open=False)
        await pool.open()
        store = AsyncPostgresStore(pool)
    else:
        pool = await asyncpg.create_pool(place, min_size=1, max_size=2)
        store = AsyncPostgresStore(AsyncpgPool(pool, url=place))
    await store.claim(claim_of())
    listener = await asyncio.to_thread(Listener, store)
    await asyncio.to_thread(listener.in_force)
    assert await store.announce(ORDER)

    await store.complete(completion_of())

    assert await asyncio.to_thread(listener.heard)
    listener.close()
    await store.close()
    await pool.close()


def test_whoever_gives_up_has_waited_as_long_as_agreed(store, hearer):
    store.claim(claim_of(identity(), fingerprint=attempt().fingerprint))
    with guarded(hearer) as guard:
        began = time.monotonic()

        answer = guard.begin(attempt(), policy(), wait_for=timedelta(seconds=0.7))

        assert isinstance(answer, InFlight)
        assert 0.6 < time.monotonic() - began < 5
