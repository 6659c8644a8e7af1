# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What `stats` tells: exactly while that is quick, honestly about when it is not."""

from __future__ import annotations

import time
from datetime import timedelta

import psycopg
import pytest

from keyonce.core.model import StoredResult
from keyonce.core.states import Status
from keyonce.stores.postgres import PostgresStore
from keyonce.stores.postgres.procedures import COUNTED
from keyonce.testing.store_scenarios.cases import (
    claim_of,
    completed,
    completion_of,
    named,
)

KEYS = 150_000
QUICK = 5.0
LARGE = StoredResult(200, (), b"l" * 100_000, size=100_000)

FILL = """
INSERT INTO keyonce_records (
    status, guarantee, owner, executions, crashes, created_at, claimed_at,
    lease_for, ended_at, expires_at, scope, operation, key, result
)
SELECT
    2, 3, sha256(n::TEXT::BYTEA), 1, 0, 1, 1, 30, 2,
    CASE WHEN n %% 4 = 0 THEN 3 ELSE 1e12 END,
    'a-scope', 'POST /orders', n::TEXT, convert_to(repeat('x', 400), 'UTF8')
FROM generate_series(1, %s) AS n
"""


def parts(stats):
    """What records, outcomes and indexes occupy."""
    return (
        stats.record_bytes or 0,
        stats.outcome_bytes or 0,
        stats.index_bytes or 0,
    )


def filled(url, keys):
    PostgresStore(url, purge_every=None).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL, [keys])


@pytest.fixture
def large(quick_server):
    url = quick_server.url(quick_server.new_database())
    filled(url, KEYS)
    store = PostgresStore(url, purge_every=None)
    yield store
    store.close()


def test_a_large_table_is_sampled_and_what_is_open_is_counted(large):
    large.claim(claim_of(named("open")))
    began = time.monotonic()

    stats = large.stats()

    assert time.monotonic() - began < QUICK
    assert stats.estimated
    assert 1 == stats.counts[Status.IN_PROGRESS]
    assert stats.counts[Status.COMPLETED] == pytest.approx(KEYS, rel=0.1)
    assert stats.expired == pytest.approx(KEYS / 4, rel=0.2)
    assert parts(stats)[0] > COUNTED * 8192


def test_a_small_table_is_counted(url):
    filled(url, 1000)
    store = PostgresStore(url, purge_every=None)

    stats = store.stats()

    assert not stats.estimated
    assert {Status.COMPLETED: 1000} == stats.counts
    assert 250 == stats.expired
    store.close()


@pytest.mark.parametrize("partitions", [None, timedelta(days=1)])
def test_the_parts_make_up_the_whole(url, partitions):
    store = PostgresStore(url, purge_every=None, partitions=partitions)
    before = store.stats()
    for key in ("a", "b", "c"):
        store.claim(claim_of(named(key)))
        store.complete(completion_of(named(key), result=LARGE, retention_for=86_400))

    stats = store.stats()

    assert stats.stored_bytes == sum(parts(stats))
    assert parts(stats)[1] >= parts(before)[1] + 3 * 100_000
    store.close()


def test_outcomes_in_partitions_leave_records_small(url):
    store = PostgresStore(url, purge_every=None, partitions=timedelta(days=2))
    before = store.stats()
    for key in range(200):
        completed(store, named(str(key)), retention_for=86_400)

    stats = store.stats()

    assert parts(stats)[1] > parts(before)[1]
    assert parts(stats)[2] > 0
    store.close()
