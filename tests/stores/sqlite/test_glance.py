# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a loop may read of the file at once, without waiting."""

from __future__ import annotations

import sqlite3

import pytest

from keyonce.core.states import Status
from keyonce.stores.sqlite import AsyncSQLiteStore
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    ORDER,
    claim_of,
    completion_of,
)


@pytest.fixture
async def store(tmp_path):
    store = AsyncSQLiteStore(tmp_path / "k.db", purge_every=None)
    yield store
    await store.close()


async def test_a_settled_record_is_seen_at_once(store):
    await store.claim(claim_of())
    await store.complete(completion_of())

    seen = store.glance(ORDER)

    assert Status.COMPLETED is seen.record.status
    assert ANSWER == seen.record.result


async def test_a_key_that_was_never_seen_is_not_there_at_a_glance(store):
    await store.find(ORDER)

    assert store.glance(ORDER) is None


async def test_a_glance_never_opens_the_file_itself(store):
    assert store.glance(ORDER) is None


async def test_a_glance_does_not_wait_for_whoever_writes(store, tmp_path):
    await store.claim(claim_of())
    await store.complete(completion_of())
    other = sqlite3.connect(tmp_path / "k.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    seen = store.glance(ORDER)

    assert Status.COMPLETED is seen.record.status
    other.execute("ROLLBACK")
    other.close()
