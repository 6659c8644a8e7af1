# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Many claims in one commit, each for itself."""

from __future__ import annotations

import sqlite3
import struct

import pytest

from keyonce.core.errors import RecordUnreadable
from keyonce.core.model import Claimed
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import SECOND, claim_of, completed, named


@pytest.fixture(params=["threads", "loop"])
def store(request, tmp_path):
    path = tmp_path / "keyonce.db"
    store = (
        SQLiteStore(path)
        if request.param == "threads"
        else StorePortal(AsyncSQLiteStore(path))
    )
    yield store
    store.close()


def commits(path):
    """Count the commits in the log of *path*."""
    log = path.with_name(path.name + "-wal").read_bytes()
    page = struct.unpack_from(">I", log, 8)[0]
    salt = log[16:24]
    found = 0
    for at in range(32, len(log), page + 24):
        size = struct.unpack_from(">I", log, at + 4)[0]
        found += bool(size) and log[at + 8 : at + 16] == salt
    return found


def test_a_batch_is_one_commit(store, tmp_path):
    store.claim(claim_of(named("warm")))
    before = commits(tmp_path / "keyonce.db")

    store.claim_many([claim_of(named(f"{n}")) for n in range(100)])

    assert before + 1 == commits(tmp_path / "keyonce.db")


def test_a_batch_that_changes_nothing_writes_nothing(store, tmp_path):
    commands = [claim_of(named(f"{n}")) for n in range(10)]
    store.claim_many(commands)
    before = commits(tmp_path / "keyonce.db")

    store.claim_many([command._replace(owner=SECOND) for command in commands])

    assert before == commits(tmp_path / "keyonce.db")


def test_a_torn_record_spoils_no_other(store, tmp_path):
    completed(store, named("torn"))
    with sqlite3.connect(tmp_path / "keyonce.db") as other:
        other.execute("DELETE FROM keyonce_results")
    other.close()

    one, torn, two = store.claim_many(
        [claim_of(named(key), SECOND) for key in ("one", "torn", "two")]
    )

    assert isinstance(torn, RecordUnreadable)
    assert all(isinstance(each, Claimed) for each in (one, two))
    assert {SECOND} == {one.record.owner, two.record.owner}
