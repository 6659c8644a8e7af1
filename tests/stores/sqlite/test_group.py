# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Group commit: many share one commit, and none harms another."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from keyonce.core.errors import RecordUnreadable, SettlementRefused, StoreUnavailable
from keyonce.core.model import StoredResult
from keyonce.core.states import Status
from keyonce.stores.sqlite import AsyncSQLiteStore, procedures
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completion_of,
    named,
    settlement_of,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keyonce.db"


@pytest.fixture
async def store(path):
    store = AsyncSQLiteStore(path, purge_every=None)
    yield store
    await store.close()


def commits(store):
    """Hear of every transaction that the writer ends."""
    heard = []
    connections = store._database.connections
    connection = connections.hold(store._database.deadline())
    connections.let_go()
    connection.set_trace_callback(
        lambda sql: heard.append(sql) if sql in ("COMMIT", "ROLLBACK") else None
    )
    return heard


async def batch(store, *works):
    """Queue *works* behind a held lock, so that they meet in one batch."""
    connections = store._database.connections
    connections.hold(store._database.deadline())
    first = asyncio.ensure_future(store.abandon(named("nobody"), FIRST, "first"))
    await asyncio.sleep(0.05)
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.sleep(0.05)
    connections.let_go()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_arrives_meanwhile_shares_one_commit(store):
    await store.claim(claim_of(named("before")))
    heard = commits(store)

    answers = await batch(
        store, *[store.claim(claim_of(named(str(n)))) for n in range(20)]
    )

    assert {FIRST} == {answer.record.owner for answer in answers}
    assert ["COMMIT"] * 2 == heard  # the first alone, then the rest


async def test_in_one_batch_the_first_claim_wins(store):
    await store.claim(claim_of(named("before")))

    one, other = await batch(
        store, store.claim(claim_of()), store.claim(claim_of(owner=SECOND))
    )

    assert one.record == other.record


async def test_a_refusal_is_told_to_who_asked_and_costs_the_others_nothing(store):
    await store.claim(claim_of(named("running")))
    heard = commits(store)

    claimed, refused, other = await batch(
        store,
        store.claim(claim_of(named("a"))),
        store.settle(settlement_of(named("running"))),
        store.claim(claim_of(named("b"))),
    )

    assert isinstance(refused, SettlementRefused)
    assert [FIRST] * 2 == [claimed.record.owner, other.record.owner]
    assert "ROLLBACK" not in heard


async def test_a_torn_record_costs_the_others_nothing(store, path):
    await store.claim(claim_of(named("torn")))
    with sqlite3.connect(path) as other:
        other.execute("UPDATE keyonce_records SET guarantee = 99")
    other.close()

    claimed, torn = await batch(
        store,
        store.claim(claim_of(named("a"))),
        store.renew(named("torn"), FIRST),
    )

    assert FIRST == claimed.record.owner
    assert isinstance(torn, RecordUnreadable)


async def test_a_job_that_fails_half_way_harms_no_other(store, path):
    """The batch is rolled back and done one by one; the failing one wrote nothing."""
    await store.claim(claim_of(named("big")))
    with sqlite3.connect(path) as other:
        other.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON keyonce_results "
            "WHEN length(new.result) > 100000 "
            "BEGIN SELECT RAISE(ABORT, 'too big for us'); END"
        )
    other.close()
    heard = commits(store)
    big = StoredResult(200, (), b"x" * 200_000, size=200_000)

    before, failed, behind = await batch(
        store,
        store.claim(claim_of(named("a"))),
        store.complete(completion_of(named("big"), result=big)),
        store.claim(claim_of(named("b"))),
    )

    assert isinstance(failed, StoreUnavailable)
    assert [FIRST, FIRST] == [before.record.owner, behind.record.owner]
    assert 2 == heard.count("ROLLBACK")
    found = await store.find(named("big"))
    assert found is not None
    assert Status.IN_PROGRESS is found.record.status
    for key in ("a", "b"):
        assert await store.find(named(key)) is not None


async def test_a_bug_in_one_job_harms_no_other(store):
    def broken(_digest):
        raise ZeroDivisionError

    await store.claim(claim_of(named("before")))

    failed, fine = await batch(
        store,
        store.claim(claim_of(named("a"), field_map=broken)),
        store.claim(claim_of(named("b"))),
    )

    assert isinstance(failed, ZeroDivisionError)
    assert FIRST == fine.record.owner
    assert await store.find(named("a")) is None


async def test_who_was_cancelled_before_its_turn_leaves_no_record(store):
    connections = store._database.connections
    connections.hold(store._database.deadline())
    first = asyncio.ensure_future(store.abandon(named("nobody"), FIRST, "first"))
    await asyncio.sleep(0.05)
    cancelled = asyncio.ensure_future(store.claim(claim_of()))
    await asyncio.sleep(0.05)
    cancelled.cancel()
    with suppress(asyncio.CancelledError):
        await cancelled
    connections.let_go()
    await first

    assert FIRST == (await store.claim(claim_of(named("next")))).record.owner
    assert await store.find(ORDER) is None


async def test_several_loops_are_served(path):
    store = AsyncSQLiteStore(path)
    owners = []

    def other_loop(number):
        async def work():
            for each in range(20):
                claimed = await store.claim(claim_of(named(f"{number}-{each}")))
                owners.append(claimed.record.owner)

        asyncio.run(work())

    threads = [threading.Thread(target=other_loop, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)

    assert [FIRST] * 80 == owners
    assert {Status.IN_PROGRESS: 80} == (await store.stats()).counts
    await store.close()


def test_a_loop_that_ended_does_not_stop_the_others(path):
    store = AsyncSQLiteStore(path)

    async def leave():
        # The claim is queued and the loop ends before it is answered.
        connections = store._database.connections
        connections.hold(store._database.deadline())
        store._writer.write(partial(procedures.claim, claim_of(named("left"))))
        connections.let_go()

    async def stay():
        claimed = await store.claim(claim_of())
        await store.close()
        return claimed.record.owner

    asyncio.run(leave())

    assert FIRST == asyncio.run(stay())


async def test_a_replay_is_read_without_a_thread(store):
    await store.claim(claim_of())
    await store.complete(completion_of())
    await store.find(ORDER)
    connections = store._database.connections
    connections.hold(store._database.deadline())  # nobody can write now

    replayed = store.claim(claim_of(owner=SECOND))
    with pytest.raises(StopIteration) as ended:
        replayed.send(None)  # it ends without waiting once

    assert Status.COMPLETED is ended.value.value.record.status
    connections.let_go()


async def test_other_threads_do_not_need_the_loop(store):
    """The heartbeat's way: the loop is blocked by a handler that sleeps."""
    await store.claim(claim_of())
    renewed = []
    beat = threading.Thread(
        target=lambda: renewed.append(store.blocking().renew(ORDER, FIRST))
    )

    beat.start()
    beat.join(timeout=10)  # this blocks the loop

    assert 1 == len(renewed)
    assert FIRST == renewed[0].owner


async def test_closing_writes_what_is_queued(path):
    store = AsyncSQLiteStore(path)
    await store.claim(claim_of(named("before")))
    tasks = [asyncio.ensure_future(store.claim(claim_of(named("last"))))]
    await asyncio.sleep(0)

    await store.close()

    assert FIRST == (await tasks[0]).record.owner
    again = AsyncSQLiteStore(path)
    assert await again.find(named("last")) is not None
    await again.close()


class Dawdling(queue.SimpleQueue[Any]):
    """A queue whose second order comes in only when the store is being closed."""

    def __init__(self, close):
        self._put = 0
        self._closing = threading.Thread(target=close)

    def put(self, order, block=True, timeout=None):
        self._put += order is not None
        if order is not None and self._put == 2:
            self._closing.start()
            self._closing.join(timeout=0.3)
        super().put(order, block, timeout)

    def closed(self):
        self._closing.join()


async def test_what_comes_in_while_the_store_closes_is_settled(path):
    store = AsyncSQLiteStore(path)
    store._writer._orders = Dawdling(store._writer.close)
    await store.claim(claim_of(named("before")))

    stored = await asyncio.wait_for(store.claim(claim_of(named("last"))), 5)

    assert FIRST == stored.record.owner
    store._writer._orders.closed()
    await store.close()


async def test_a_closed_store_refuses(path):
    store = AsyncSQLiteStore(path)
    await store.claim(claim_of())
    await store.close()
    await store.close()

    for call in (
        lambda: store.claim(claim_of(named("x"))),
        lambda: store.find(ORDER),
        lambda: store.renew(ORDER, FIRST),
    ):
        with pytest.raises(StoreUnavailable, match="closed"):
            await call()


async def test_no_thread_is_left_behind(path):
    before = set(threading.enumerate())
    store = AsyncSQLiteStore(path)
    await store.claim(claim_of())
    mine = {thread.name for thread in set(threading.enumerate()) - before}

    await store.close()

    assert {"keyonce-writer", "keyonce-upkeep"} <= mine
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not left & {"keyonce-writer", "keyonce-upkeep"}


async def test_a_busy_file_is_refused_after_the_store_timeout(path):
    store = AsyncSQLiteStore(path, store_timeout=timedelta(milliseconds=100))
    await store.claim(claim_of())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    refused = await asyncio.gather(
        *[store.claim(claim_of(named(str(n)))) for n in range(5)],
        return_exceptions=True,
    )
    found = await store.find(ORDER)
    other.execute("ROLLBACK")
    other.close()

    assert [StoreUnavailable] * 5 == [type(each) for each in refused]
    assert found is not None
    assert FIRST == (await store.claim(claim_of(named("0")))).record.owner
    await store.close()
