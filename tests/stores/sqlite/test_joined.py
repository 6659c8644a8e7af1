# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The outcome as part of the caller's own transaction, on the same file."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.states import Status
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    LEASE,
    ORDER,
    SECOND,
    claim_of,
    completion_of,
    record_in,
    settlement_of,
)

EFFECT = "INSERT INTO effects (name) VALUES ('charge')"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keyonce.db"


@pytest.fixture
def store(path, clock):
    store = SQLiteStore(path, clock=clock, purge_every=None)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE effects (name TEXT)")
    yield store
    store.close()


def effects(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM effects").fetchone()[0]


class Plain:
    """A connection of the standard library, with settings of its own."""

    def __init__(self, path, **settings):
        self.given = sqlite3.connect(path, timeout=0.2, **settings)
        self.given.row_factory = sqlite3.Row
        self.given.text_factory = bytes
        self.run = self.given.execute
        self.close = self.given.close


class ByItself(Plain):
    """One that commits each statement, outside a transaction."""

    def __init__(self, path):
        super().__init__(path, isolation_level=None)


class Core:
    """A Connection of SQLAlchemy."""

    def __init__(self, path):
        self.engine = create_engine(f"sqlite:///{path}")
        self.given = self.open()

    def open(self):
        return self.engine.connect()

    def run(self, sql):
        return self.given.execute(text(sql))

    def close(self):
        self.given.close()
        self.engine.dispose()


class Unit(Core):
    """A Session of SQLAlchemy."""

    def open(self):
        return Session(self.engine)


@pytest.fixture(params=[Plain, ByItself, Core, Unit], ids=lambda kind: kind.__name__)
def caller(request, store, path):
    caller = request.param(path)
    yield caller
    caller.close()


def test_effect_and_outcome_commit_together(store, caller, path):
    store.claim(claim_of(guarantee=Guarantee.EXACTLY_ONCE))
    transaction = store.transaction(caller.given)
    assert not transaction.is_open()

    transaction.begin()
    caller.run(EFFECT)
    done = store.joined(caller.given).complete(completion_of())
    before = record_in(store)
    transaction.commit()

    assert (Status.COMPLETED, FIRST, ANSWER) == (done.status, done.owner, done.result)
    assert Status.IN_PROGRESS is before.status
    assert done == record_in(store)
    assert 1 == effects(path)


def test_what_is_rolled_back_is_neither_done_nor_stored(store, caller, path):
    store.claim(claim_of())
    before = record_in(store)
    transaction = store.transaction(caller.given)

    transaction.begin()
    caller.run(EFFECT)
    store.joined(caller.given).complete(completion_of())
    transaction.rollback()

    assert not transaction.is_open()
    assert before == record_in(store)
    assert 0 == effects(path)


def test_an_owner_that_lost_the_key_learns_so_inside(store, caller):
    store.claim(claim_of())
    store.abandon(ORDER, FIRST, "test")
    store.settle(settlement_of())
    store.claim(claim_of(owner=SECOND))
    transaction = store.transaction(caller.given)

    transaction.begin()
    seen = store.joined(caller.given).complete(completion_of())
    transaction.rollback()

    assert (Status.IN_PROGRESS, SECOND) == (seen.status, seen.owner)
    assert seen == record_in(store)


def test_a_claim_inside_is_seen_by_nobody_before_the_commit(store, caller):
    transaction = store.transaction(caller.given)

    transaction.begin()
    claimed = store.joined(caller.given).claim(claim_of(), lock_timeout=0.1)
    before = store.find(ORDER)
    transaction.commit()

    assert FIRST == claimed.record.owner
    assert before is None
    assert FIRST == record_in(store).owner


def test_a_claim_that_finds_the_file_busy_says_so_in_time(store, path):
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as holder,
        closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as mine,
    ):
        holder.execute("BEGIN IMMEDIATE")
        mine.execute("BEGIN")

        claimed = store.joined(mine).claim(claim_of(), lock_timeout=0.05)

        assert claimed is None
        assert mine.in_transaction
        assert 60_000 == mine.execute("PRAGMA busy_timeout").fetchone()[0]


def test_a_transaction_that_read_what_changed_since_is_refused(store, path, clock):
    store.claim(claim_of())
    with closing(sqlite3.connect(path, isolation_level=None)) as mine:
        mine.execute("BEGIN")
        mine.execute("SELECT count(*) FROM effects").fetchall()
        clock.advance(1)
        store.renew(ORDER, FIRST)

        with pytest.raises(ConfigurationError, match="BEGIN IMMEDIATE"):
            store.joined(mine).complete(completion_of())
        mine.execute("ROLLBACK")

    assert Status.IN_PROGRESS is record_in(store).status


def test_settings_of_the_connection_stay_as_they_are(store, path):
    store.claim(claim_of())
    with closing(Plain(path)) as caller:
        caller.run(EFFECT)
        store.joined(caller.given).complete(completion_of())

        assert sqlite3.Row is caller.given.row_factory
        assert bytes is caller.given.text_factory
        assert 200 == caller.run("PRAGMA busy_timeout").fetchone()[0]


def test_without_a_transaction_nothing_is_joined(store, path):
    with (
        closing(sqlite3.connect(path)) as mine,
        pytest.raises(ConfigurationError, match="No transaction is open"),
    ):
        store.joined(mine).complete(completion_of())


def test_another_file_is_refused_also_where_the_stores_is_attached(store, tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as mine:
        mine.execute("ATTACH ? AS idempotency", (str(tmp_path / "keyonce.db"),))
        mine.execute("BEGIN IMMEDIATE")

        with pytest.raises(ConfigurationError, match=r"other\.db"):
            store.joined(mine).complete(completion_of())


def test_memory_is_another_file(store):
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as mine:
        mine.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConfigurationError, match="memory"):
            store.joined(mine).complete(completion_of())


def test_another_name_of_the_same_file_is_the_same(store, path, tmp_path):
    store.claim(claim_of())
    name = tmp_path / "link.db"
    name.symlink_to(path)
    with closing(sqlite3.connect(name, isolation_level=None)) as mine:
        mine.execute("BEGIN IMMEDIATE")
        done = store.joined(mine).complete(completion_of())
        mine.execute("COMMIT")

    assert done == record_in(store)


def test_what_is_no_connection_is_refused_by_name(store):
    with pytest.raises(ConfigurationError, match=r"builtins\.str"):
        store.joined("keyonce.db")
    with pytest.raises(ConfigurationError, match=r"builtins\.str"):
        store.transaction("keyonce.db")


async def test_a_loop_goes_on_while_the_file_is_busy(path, clock):
    store = AsyncSQLiteStore(path, clock=clock, purge_every=None)
    await store.claim(claim_of())
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as holder,
        closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as mine,
    ):
        holder.execute("BEGIN IMMEDIATE")
        transaction = store.transaction(mine)
        beginning = asyncio.ensure_future(transaction.begin())
        await asyncio.sleep(0)  # it has met the other one
        assert not beginning.done()
        holder.execute("COMMIT")
        await beginning
        assert await transaction.is_open()
        done = await store.joined(mine).complete(completion_of())
        await transaction.commit()

    found = await store.find(ORDER)
    assert found is not None
    assert done == found.record
    await store.close()


async def test_a_loop_claims_inside_and_rolls_back(path, clock):
    store = AsyncSQLiteStore(path, clock=clock, purge_every=None)
    with closing(sqlite3.connect(path)) as mine:
        transaction = store.transaction(mine)
        await transaction.begin()
        claimed = await store.joined(mine).claim(claim_of(), lock_timeout=0)
        await transaction.rollback()
    assert claimed is not None

    assert (FIRST, LEASE) == (claimed.record.owner, claimed.record.lease_for)
    assert await store.find(ORDER) is None
    await store.close()
