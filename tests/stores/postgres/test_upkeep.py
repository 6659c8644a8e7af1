# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Purging: in the background, in small steps, past what others are at work on."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from random import Random
from uuid import UUID

import psycopg
import pytest

from keyonce.core.model import StoredResult
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    HOUR,
    claim_of,
    completed,
    completion_of,
    named,
)

RESPONSE = StoredResult(
    201, ((b"content-type", b"application/json"),), b"x" * 300, size=300
)
OFTEN = timedelta(milliseconds=20)


@pytest.fixture
def clock():
    return FakeClock()


def until_gone(store):
    deadline = time.monotonic() + 20
    while store.stats().counts:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_expired_goes_by_itself(url):
    store = PostgresStore(url, purge_every=OFTEN)
    for number in range(5):
        completed(store, named(str(number)), retention_for=0.05)

    until_gone(store)

    store.close()


async def test_what_expired_goes_by_itself_beside_a_loop(url):
    store = AsyncPostgresStore(url, purge_every=OFTEN)
    await store.claim(claim_of())
    await store.complete(completion_of(retention_for=0.05))

    await asyncio.to_thread(until_gone, store.blocking())

    await store.close()


def test_what_somebody_is_at_work_on_is_left_for_the_next_time(url, clock):
    store = PostgresStore(url, clock=clock, purge_every=None)
    for key in ("a", "b", "c"):
        completed(store, named(key))
    clock.advance(2 * HOUR)

    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM keyonce_records WHERE key = 'b' FOR UPDATE")
        purged = store.purge()
        other.rollback()

    assert 2 == purged
    assert 1 == store.purge()
    store.close()


def test_a_batch_goes_on_where_the_last_one_ended_and_then_from_the_beginning(
    url, clock
):
    store = PostgresStore(url, clock=clock, purge_every=None)
    for number in range(5):
        completed(store, named(str(number)))
        clock.advance(1)
    clock.advance(2 * HOUR)

    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM keyonce_records WHERE key = '0' FOR UPDATE")
        batches = [store.purge(2), store.purge(2), store.purge(2)]
        other.rollback()

    assert [2, 2, 0] == batches
    assert 1 == store.purge(2)
    store.close()


@pytest.mark.parametrize(
    ("partitions", "most"), [(None, 1.25), (timedelta(days=2), 1.45)]
)
def test_a_key_occupies_what_was_promised(quick_server, partitions, most):
    url = quick_server.url(quick_server.new_database())
    store = PostgresStore(url, purge_every=None, partitions=partitions)
    empty = store.stats().stored_bytes or 0
    random = Random(1)
    keys = [str(UUID(bytes=random.randbytes(16))) for _ in range(5000)]

    for key in keys:
        owner = random.randbytes(16)
        store.claim(claim_of(named(key), owner, field_map=lambda _: b""))
        store.complete(completion_of(named(key), owner, result=RESPONSE))

    full = store.stats().stored_bytes or 0
    per_key = (full - empty) / len(keys)
    assert full > empty
    assert per_key <= most * 637
    store.close()
