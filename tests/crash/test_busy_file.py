# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Another program holds the store's file; live work keeps its key all the same."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, contextmanager

import pytest

from tests.crash.workers import LEASE

HELD_FOR = 4 * LEASE


@contextmanager
def another_program_writes(site):
    """Hold a write transaction on the store's file, as a backup or a shell may."""
    with closing(sqlite3.connect(site.file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once"])
def test_no_live_work_loses_its_lease_while_others_want_it(site, guarantee):
    """Ten keys, each with its worker and with somebody who waits to take over."""
    path, keys = f"/{guarantee}/payments", [f"k-{number}" for number in range(10)]
    seconds = {"X-Seconds": str(1.5 * HELD_FOR)}
    here, there = site.worker(in_flight="wait"), site.worker(in_flight="wait")
    owners = [here.posts(path, key, **seconds) for key in keys]
    while not all(site.ledger.effects(key) for key in keys):
        time.sleep(0.01)

    with another_program_writes(site):
        waiters = [there.posts(path, key, **seconds) for key in keys]
        time.sleep(HELD_FOR)

    for owner, waiter in zip(owners, waiters, strict=True):
        assert (201, False) == (owner.result().status, owner.result().replayed)
        assert owner.result().outcome == waiter.result().outcome
        assert waiter.result().replayed
    assert [1] * 10 == [site.ledger.runs(key) for key in keys]
    assert [(1, 0)] * 10 == [(r.executions, r.crashes) for r in site.records()]


def test_an_end_that_falls_into_the_silence_is_stored(site):
    worker = site.worker("complete.before")
    asked = worker.posts("/at-most-once/payments", "k-1")
    worker.reaches("complete.before")

    with another_program_writes(site):
        worker.goes_on()
        time.sleep(HELD_FOR)
        assert not asked.done()

    assert 201 == asked.result().status
    assert asked.result().header("idempotency-status") is None
    assert (
        asked.result().outcome
        == worker.settled("/at-most-once/payments", "k-1").outcome
    )
