# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Purging and checkpoints happen beside the traffic, and the log stays bounded."""

from __future__ import annotations

import sqlite3
import time
from datetime import timedelta

import pytest

from keyonce.core.errors import StoreUnavailable
from keyonce.core.model import StoredResult
from keyonce.stores.sqlite import SQLiteStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    HOUR,
    ORDER,
    claim_of,
    completed,
    completion_of,
    named,
)

KIB = 1024
MIB = 1024 * KIB


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keyonce.db"


def until(condition, within=10.0):
    """Wait for a background thread."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_what_expired_is_purged_without_being_asked(path):
    clock = FakeClock()
    store = SQLiteStore(path, clock=clock, purge_every=timedelta(milliseconds=20))
    for number in range(120):
        completed(store, named(str(number)))
    clock.advance(2 * HOUR)

    until(lambda: not store.stats().counts)
    store.close()


def test_without_an_interval_nothing_is_purged(path):
    clock = FakeClock()
    store = SQLiteStore(path, clock=clock, purge_every=None)
    completed(store)
    clock.advance(2 * HOUR)
    store._database.upkeep._wake.set()
    until(lambda: not store._database.upkeep._wake.is_set())

    assert 1 == sum(store.stats().counts.values())
    store.close()


def test_a_purge_that_cannot_write_tries_again(path):
    clock = FakeClock()
    store = SQLiteStore(
        path,
        clock=clock,
        purge_every=timedelta(milliseconds=20),
        store_timeout=timedelta(milliseconds=20),
    )
    completed(store)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    clock.advance(2 * HOUR)
    time.sleep(0.2)  # some rounds fail

    other.execute("ROLLBACK")
    other.close()

    until(lambda: not store.stats().counts)
    store.close()


def test_commits_do_not_checkpoint(path):
    store = SQLiteStore(path, purge_every=None)
    store.claim(claim_of(named("first")))
    before = path.stat().st_size

    for number in range(100):
        completed(store, named(str(number)))

    assert before == path.stat().st_size
    store.close()


def test_the_log_is_moved_into_the_file_in_the_background(path):
    store = SQLiteStore(path, purge_every=None)
    store.claim(claim_of(named("first")))
    before = path.stat().st_size
    for number in range(100):
        completed(store, named(str(number)))

    store._database.upkeep.count(5000)

    until(lambda: path.stat().st_size > before)
    store.close()


def test_large_outcomes_count_for_the_log(path):
    store = SQLiteStore(path, purge_every=None)
    body = b"x" * 5 * MIB
    store.claim(claim_of())

    store.complete(completion_of(result=StoredResult(200, (), body, size=len(body))))

    until(lambda: path.stat().st_size > 5 * MIB)
    store.close()


def test_a_reader_that_does_not_end_stops_no_claim_and_the_log_shrinks_after_it(path):
    store = SQLiteStore(path, purge_every=None)
    upkeep = store._database.upkeep
    upkeep.wal_large = 2 * MIB
    store.claim(claim_of())
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM keyonce_records").fetchone()
    body = b"x" * 100 * KIB
    result = StoredResult(200, (), body, size=len(body))

    for number in range(120):
        store.claim(claim_of(named(str(number))))
        store.complete(completion_of(named(str(number)), result=result))
    upkeep.count(5000)
    behind_the_reader = upkeep.log_size()
    reader.execute("COMMIT")
    reader.close()
    upkeep.count(5000)

    assert behind_the_reader > 10 * MIB
    until(lambda: upkeep.log_size() < 2 * MIB)
    assert store.claim(claim_of(named("after"))).record.executions == 1
    assert 122 == sum(store.stats().counts.values())
    store.close()


def test_under_steady_writing_the_log_stays_bounded(path):
    store = SQLiteStore(path, purge_every=None)
    upkeep = store._database.upkeep
    upkeep.wal_large = 2 * MIB
    body = b"x" * 50 * KIB
    result = StoredResult(200, (), body, size=len(body))
    sizes = []

    for number in range(600):
        store.claim(claim_of(named(str(number))))
        store.complete(completion_of(named(str(number)), result=result))
        upkeep.count(100)
        sizes.append(upkeep.log_size())

    assert 20 * MIB < path.stat().st_size
    assert max(sizes) < 16 * MIB
    store.close()


def test_the_upkeep_ends_with_the_store(path):
    store = SQLiteStore(path)
    store.claim(claim_of())
    thread = store._database.upkeep._thread

    store.close()

    assert thread is not None
    assert not thread.is_alive()
    with pytest.raises(StoreUnavailable):
        store.find(ORDER)
