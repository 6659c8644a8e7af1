# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Rows that are torn or forged are refused, never taken for absent (F-57)."""

from __future__ import annotations

import sqlite3

import pytest

from keyonce.core.decide import Replay, decide
from keyonce.core.errors import RecordUnreadable, SettlementRefused, StoreError
from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
    settlement_of,
)

TORN = {
    "without a result": "DELETE FROM keyonce_results",
    "with a cut result": "UPDATE keyonce_results SET result = substr(result, 1, 9)",
    "with an empty result": "UPDATE keyonce_results SET result = x''",
    "with another byte": (
        "UPDATE keyonce_results "
        "SET result = CAST(substr(result, 1, length(result) - 1) || 'x' AS BLOB)"
    ),
    "with text for a result": "UPDATE keyonce_results SET result = 'hello'",
    "of an unknown status": "UPDATE keyonce_records SET status = 9",
    "of no status": "UPDATE keyonce_records SET status = 'done'",
    "of an unknown guarantee": "UPDATE keyonce_records SET guarantee = 99",
    "with text for an instant": "UPDATE keyonce_records SET created_at = 'now'",
    "with text for a number": "UPDATE keyonce_records SET executions = 'many'",
    "with text for a digest": "UPDATE keyonce_records SET digest = 'abc'",
    "running with a result": "UPDATE keyonce_records SET status = 1",
}
NAMELESS = {
    "with text for a digest": TORN["with text for a digest"],
    "without a digest": "UPDATE keyonce_records SET digest = NULL",
}
READABLE = {name: sql for name, sql in TORN.items() if name not in NAMELESS}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(params=["sync", "async"])
def store(request, clock, tmp_path):
    path = tmp_path / "keyonce.db"
    aio = request.param == "async"
    store = (
        StorePortal(AsyncSQLiteStore(path, clock=clock))
        if aio
        else SQLiteStore(path, clock=clock)
    )
    yield store
    store.close()


def forge(tmp_path, sql):
    connection = sqlite3.connect(tmp_path / "keyonce.db", isolation_level=None)
    connection.execute(sql)
    connection.close()


@pytest.fixture(params=list(TORN.values()), ids=list(TORN))
def torn(request, store, tmp_path):
    completed(store)
    forge(tmp_path, request.param)
    return store


def test_a_torn_record_is_not_read(torn):
    with pytest.raises(RecordUnreadable):
        torn.find(ORDER)


def test_a_torn_record_is_not_claimed(torn):
    for _ in range(2):
        with pytest.raises(RecordUnreadable):
            torn.claim(claim_of(owner=SECOND))


def test_a_torn_record_is_not_written_by_anybody(torn):
    for call in (
        lambda: torn.complete(completion_of()),
        lambda: torn.renew(ORDER, FIRST),
        lambda: torn.release(ORDER, FIRST, "safe", None),
        lambda: torn.abandon(ORDER, FIRST, "crashed"),
    ):
        with pytest.raises(RecordUnreadable):
            call()


def test_a_torn_record_harms_no_other(torn):
    torn.claim(claim_of(named("other")))

    assert Status.IN_PROGRESS is record_in(torn, named("other")).status
    assert 2 == len(torn.records(Query()))
    assert 2 == sum(torn.stats().counts.values())


@pytest.mark.parametrize("torn", READABLE.values(), ids=READABLE, indirect=True)
def test_a_torn_record_that_was_resolved_is_replayed(torn):
    settled = torn.settle(settlement_of(result=ANSWER))

    assert settled == record_in(torn)
    again = claim_of(owner=SECOND)
    stored = torn.claim(again).record
    decision = decide(stored, again.fingerprint, SECOND, stored.claimed_at)
    assert Replay(settled) == decision
    assert ANSWER == settled.result
    assert ["unknown"] == [row.before for row in torn.audits()]


@pytest.mark.parametrize("torn", NAMELESS.values(), ids=NAMELESS, indirect=True)
def test_without_its_fingerprint_a_torn_record_can_only_be_released(torn):
    with pytest.raises(SettlementRefused, match="only be released"):
        torn.settle(settlement_of(result=ANSWER))
    assert [] == torn.audits()

    torn.settle(settlement_of())

    assert SECOND == torn.claim(claim_of(owner=SECOND)).record.owner


def test_an_operator_can_release_a_torn_record(torn):
    torn.settle(settlement_of())

    assert SECOND == torn.claim(claim_of(owner=SECOND)).record.owner


def test_what_can_be_read_of_a_torn_record_is_kept(store, tmp_path):
    before = completed(store)
    forge(tmp_path, TORN["without a result"])

    listed = store.records(Query())[0]

    for name in ("fingerprint", "fields", "created_at", "claimed_at", "executions"):
        assert getattr(before, name) == getattr(listed, name)


def test_a_missing_result_is_listed_as_unreadable(store, tmp_path):
    completed(store)
    forge(tmp_path, TORN["without a result"])

    listed = store.records(Query())

    assert [(Status.UNKNOWN, "unreadable")] == [(r.status, r.reason) for r in listed]


def test_a_forged_row_is_listed_as_unreadable(store, tmp_path):
    completed(store)
    forge(tmp_path, TORN["of no status"])

    listed = store.records(Query())

    assert [(ORDER, "unreadable")] == [(r.identity, r.reason) for r in listed]


def test_what_cannot_be_read_does_not_stop_the_purge(store, tmp_path, clock):
    completed(store, named("1"))
    completed(store, named("2"))
    forge(tmp_path, "UPDATE keyonce_records SET guarantee = 99 WHERE key = '1'")
    clock.advance(2 * HOUR)

    while store.purge(1):
        pass

    assert store.find(named("2")) is None
    with pytest.raises(RecordUnreadable):
        store.find(named("1"))


def test_the_refusal_names_the_scope_and_not_the_key(torn):
    with pytest.raises(RecordUnreadable) as refusal:
        torn.find(ORDER)

    assert ORDER.key not in str(refusal.value)


def test_a_key_that_is_no_text_is_refused_and_harms_nobody(store):
    with pytest.raises(StoreError, match="UTF-8"):
        store.claim(claim_of(named("\ud800")))

    assert FIRST == store.claim(claim_of()).record.owner


def test_an_outcome_that_cannot_be_sent_is_refused_and_the_key_stays(store):
    begun = store.claim(claim_of()).record
    bad = ANSWER.__class__(201, ((b"bad name", b"x"),))

    with pytest.raises(StoreError):
        store.complete(completion_of(result=bad))

    assert begun == record_in(store)
