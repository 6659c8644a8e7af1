# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A full disk: refused, nothing half written, and well again with room."""

from __future__ import annotations

import pytest

from keyonce.core.errors import StoreUnavailable
from keyonce.core.model import StoredResult
from keyonce.core.states import Status
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    claim_of,
    completion_of,
    named,
    record_in,
)
from tests.stores.programs import run

MIB = 1024 * 1024
LARGE = StoredResult(200, (), b"x" * MIB, size=MIB)


def limit_pages(database, pages):
    """Let SQLite find the disk full: on the connection that writes."""
    writer = database.connections.hold(database.deadline())
    writer.execute(f"PRAGMA max_page_count = {pages}")
    database.connections.let_go()


@pytest.fixture(params=["sync", "async"])
def stores(request, tmp_path):
    path = tmp_path / "keyonce.db"
    if request.param == "sync":
        store = SQLiteStore(path)
        yield store, store._database
        store.close()
    else:
        aio = AsyncSQLiteStore(path)
        portal = StorePortal(aio)
        yield portal, aio._database
        portal.close()


def test_a_full_disk_refuses_and_keeps_what_was(stores):
    store, database = stores
    begun = store.claim(claim_of()).record
    limit_pages(database, 100)

    with pytest.raises(StoreUnavailable, match="disk is full"):
        store.complete(completion_of(result=LARGE))

    assert begun == record_in(store)
    assert begun.owner == store.renew(ORDER, FIRST).owner


def test_with_room_again_the_same_command_goes_through(stores):
    store, database = stores
    store.claim(claim_of())
    limit_pages(database, 100)
    with pytest.raises(StoreUnavailable):
        store.complete(completion_of(result=LARGE))

    limit_pages(database, 1_000_000)
    done = store.complete(completion_of(result=LARGE))

    assert done == record_in(store)
    assert LARGE == done.result


def test_a_full_disk_refuses_claims(stores):
    store, database = stores
    limit_pages(database, 1)
    claimed = []

    with pytest.raises(StoreUnavailable, match="disk is full"):
        for number in range(1000):
            store.claim(claim_of(named(str(number))))
            claimed.append(str(number))

    assert len(claimed) == sum(store.stats().counts.values())
    assert store.find(named(str(len(claimed)))) is None


def test_a_write_that_the_system_cuts_off_leaves_nothing_half(tmp_path):
    path = tmp_path / "keyonce.db"
    told = run(
        """
        import resource
        store = SQLiteStore(sys.argv[1], purge_every=None)
        store.claim(claim_of())
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        large = completion_of(result=StoredResult(200, (), b"x" * 900_000, size=900_000))
        for _ in range(2):
            try:
                store.complete(large)
                say("stored")
            except StoreUnavailable as refusal:
                say("refused")
        say(record_in(store).status.word)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        say(store.complete(large).status.word)
        store.close()
        """,
        path,
    )

    assert ["refused", "refused", "in_progress", "completed"] == told
    store = SQLiteStore(path)
    assert Status.COMPLETED is record_in(store).status
    assert ["ok"] == [f.level for f in store.examine() if f.subject == "structure"]
    store.close()
