# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A busy file is no reason to end a lease: its owner waits for it as well."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import pytest

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Claim, Fingerprint, Identity
from keyonce.core.states import Status
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.clock import FakeClock

LEASE = 30.0
ENDED = LEASE + LEASE / 3
IDENTITY = Identity("tenant", "POST /payments", "k-1")


def by(owner, witnessed=None, guarantee=Guarantee.AT_LEAST_ONCE):
    fingerprint = Fingerprint("1", b"same")
    return Claim(IDENTITY, owner, fingerprint, guarantee, LEASE, 3, witnessed)


@contextmanager
def held(path, seconds):
    """Hold the file's write lock in another connection for a while."""
    begun = threading.Event()

    def hold():
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            begun.set()
            time.sleep(seconds)
            connection.execute("ROLLBACK")

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait()
    yield
    thread.join()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keyonce.db"


@pytest.fixture
def store(path, clock):
    store = SQLiteStore(path, clock=clock)
    yield store
    store.close()


@pytest.mark.parametrize("guarantee", [Guarantee.AT_LEAST_ONCE, Guarantee.AT_MOST_ONCE])
def test_a_claim_that_waited_for_the_file_ends_no_lease(store, path, clock, guarantee):
    begun = store.claim(by(b"owner", guarantee=guarantee)).record
    clock.advance(ENDED)
    with held(path, 0.2):
        seen = store.claim(by(b"thief", begun.lease_until, guarantee)).record

    assert begun == seen
    assert store.renew(IDENTITY, b"owner") is not None


def test_the_same_for_event_loops(store, path, clock):
    begun = store.claim(by(b"owner")).record
    clock.advance(ENDED)

    async def steal():
        thief = AsyncSQLiteStore(path, clock=clock)
        try:
            return await thief.claim(by(b"thief", begun.lease_until))
        finally:
            await thief.close()

    with held(path, 0.3):
        seen = asyncio.run(steal())

    assert begun == seen.record


def test_a_claim_that_did_not_wait_ends_it(store, clock):
    begun = store.claim(by(b"owner")).record
    clock.advance(ENDED)

    taken = store.claim(by(b"thief", begun.lease_until)).record

    assert (b"thief", Status.IN_PROGRESS, 2) == (
        taken.owner,
        taken.status,
        taken.executions,
    )


def test_the_end_of_a_lease_is_seen_only_when_the_file_can_be_written(
    store, path, clock
):
    """Otherwise its owner could not have renewed it since."""
    store.claim(by(b"owner"))
    assert store.claim(by(b"other")).record.owner == b"owner"
    clock.advance(ENDED)

    with held(path, 0.4):
        began = time.monotonic()
        store.claim(by(b"other"))
        waited = time.monotonic() - began

    assert waited > 0.2
