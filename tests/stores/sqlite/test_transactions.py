# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One command, one transaction: what a failing COMMIT leaves, and which time counts."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from datetime import timedelta

import pytest

from keyonce.core.errors import SettlementRefused, StoreUnavailable
from keyonce.core.states import Status
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completion_of,
    named,
    record_in,
    settlement_of,
)


class Flaky(sqlite3.Connection):
    """Fails at COMMIT when told so, before or after carrying it out."""

    fails: str | None = None
    skips = 0

    def execute(self, sql, *values):
        if sql == "COMMIT" and Flaky.skips:
            Flaky.skips -= 1
        elif sql == "COMMIT" and Flaky.fails:
            when, Flaky.fails = Flaky.fails, None
            if when == "after":
                super().execute(sql)
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *values)


@pytest.fixture(params=["sync", "async"])
def store(request, tmp_path, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Flaky)
    )
    path = tmp_path / "keyonce.db"
    aio = request.param == "async"
    store = (
        StorePortal(AsyncSQLiteStore(path, purge_every=None))
        if aio
        else SQLiteStore(path, purge_every=None)
    )
    yield store
    Flaky.fails = None
    store.close()


@pytest.fixture(params=["before", "after"])
def fails(request):
    return request.param


def unanswered(call, fails):
    Flaky.fails = fails
    with pytest.raises(StoreUnavailable):
        call()
    assert Flaky.fails is None


def test_a_claim_whose_commit_failed_is_repeated(store, fails):
    unanswered(lambda: store.claim(claim_of()), fails)

    again = store.claim(claim_of()).record

    assert (FIRST, 1) == (again.owner, again.executions)
    assert FIRST == store.claim(claim_of(owner=SECOND)).record.owner


def test_a_completion_whose_commit_failed_is_repeated(store, fails):
    store.claim(claim_of())
    unanswered(lambda: store.complete(completion_of()), fails)

    done = store.complete(completion_of())

    assert (Status.COMPLETED, ANSWER) == (done.status, done.result)
    assert done == record_in(store)


def test_a_release_whose_commit_failed_is_repeated(store, fails):
    store.claim(claim_of())
    unanswered(lambda: store.release(ORDER, FIRST, "safe", None), fails)

    assert store.release(ORDER, FIRST, "safe", None) is True
    assert 2 == store.claim(claim_of(owner=SECOND)).record.executions


def test_a_decision_whose_commit_failed_leaves_both_rows_or_none(store, fails):
    store.claim(claim_of())
    store.abandon(ORDER, FIRST, "crashed")
    unanswered(lambda: store.settle(settlement_of()), fails)

    if fails == "before":
        store.settle(settlement_of())
    else:
        with pytest.raises(SettlementRefused):
            store.settle(settlement_of())

    assert Status.RELEASED is record_in(store).status
    assert 1 == len(store.audits(ORDER))


async def test_a_shared_commit_that_surely_failed_is_done_again_one_by_one(
    tmp_path, monkeypatch
):
    told = await in_one_batch(tmp_path, monkeypatch, "before")

    assert [FIRST] * 5 == [each.record.owner for each in told]


async def test_a_shared_commit_that_may_have_been_done_is_told_to_everybody(
    tmp_path, monkeypatch
):
    told = await in_one_batch(tmp_path, monkeypatch, "after")

    assert [StoreUnavailable] * 5 == [type(each) for each in told]


async def in_one_batch(tmp_path, monkeypatch, fails):
    """Let five claims share a COMMIT that fails; what each was told."""
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *a, **k: connect(*a, **k, factory=Flaky)
    )
    store = AsyncSQLiteStore(tmp_path / "keyonce.db", purge_every=None)
    await store.claim(claim_of(named("before")))
    connections = store._database.connections
    connections.hold(store._database.deadline())
    first = asyncio.ensure_future(store.abandon(named("nobody"), FIRST, "first"))
    await asyncio.sleep(0.05)
    claims = [store.claim(claim_of(named(str(number)))) for number in range(5)]
    tasks = [asyncio.ensure_future(claim) for claim in claims]
    await asyncio.sleep(0.05)
    Flaky.skips = 1
    Flaky.fails = fails
    connections.let_go()
    await first
    told = await asyncio.gather(*tasks, return_exceptions=True)
    for number in range(5):  # repeating is safe, whatever happened
        again = await store.claim(claim_of(named(str(number))))
        assert (FIRST, 1) == (again.record.owner, again.record.executions)
    await store.close()
    return told


def test_time_is_read_when_the_lock_is_held(tmp_path):
    clock = FakeClock()
    store = SQLiteStore(tmp_path / "keyonce.db", clock=clock)
    store.claim(claim_of())
    other = sqlite3.connect(tmp_path / "keyonce.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = threading.Thread(target=store.renew, args=(ORDER, FIRST))
    waiting.start()
    waiting.join(timeout=0.1)
    assert waiting.is_alive()

    clock.advance(7)
    other.execute("ROLLBACK")
    waiting.join()
    other.close()

    assert clock() + 30 == record_in(store).lease_until
    store.close()


def test_a_lock_inside_the_process_is_waited_for_no_longer_either(tmp_path):
    store = SQLiteStore(
        tmp_path / "keyonce.db", store_timeout=timedelta(milliseconds=50)
    )
    store._database.connections.hold(store._database.deadline())

    with pytest.raises(StoreUnavailable, match="busy in this process"):
        store.claim(claim_of())

    store._database.connections.let_go()
    assert FIRST == store.claim(claim_of()).record.owner
    store.close()


def test_readers_do_not_wait_for_a_writer(tmp_path):
    store = SQLiteStore(tmp_path / "keyonce.db")
    store.claim(claim_of())
    other = sqlite3.connect(tmp_path / "keyonce.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM keyonce_records")

    assert FIRST == store.claim(claim_of(owner=SECOND)).record.owner
    assert FIRST == record_in(store).owner
    assert 1 == sum(store.stats().counts.values())
    other.close()
    store.close()
