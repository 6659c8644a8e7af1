# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Clocks that differ: the margin that stands in for a clock of the store (F-13)."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from keyonce.core.decide import InFlight, decide
from keyonce.core.guarantee import Guarantee
from keyonce.core.states import Status
from keyonce.stores.dynamodb import DynamoDBStore
from keyonce.stores.dynamodb.drift import Drift, drift_of
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    GRACE,
    HOUR,
    LEASE,
    ORDER,
    PAYLOAD,
    SECOND,
    claim_of,
    completed,
    settlement_of,
)

SKEW = 2.0
AGAIN = Guarantee.AT_LEAST_ONCE


@pytest.fixture
def machine(client, table):
    """Make the store of a machine whose clock is so far ahead of true time."""

    def make(clock):
        skew = timedelta(seconds=SKEW)
        return DynamoDBStore(table, client=client, skew=skew, clock=clock)

    return make


def two_clocks(ahead):
    true = FakeClock()
    return true, lambda: true() + ahead


@pytest.mark.parametrize("ahead", [-SKEW, -1.0, 0.0, 1.0, SKEW])
def test_no_lease_is_taken_before_its_owners_clock_says_that_it_ended(machine, ahead):
    owners, thiefs = two_clocks(ahead)
    owner, thief = machine(owners), machine(thiefs)
    first = owner.claim(claim_of(guarantee=AGAIN)).record
    command = claim_of(owner=SECOND, guarantee=AGAIN, witnessed=first.lease_until)

    owners.advance(LEASE + GRACE - 0.001)
    early = thief.claim(command).record
    owners.advance(2 * SKEW + 0.001)
    late = thief.claim(command).record

    assert FIRST == early.owner
    assert SECOND == late.owner


def test_a_lease_is_taken_when_grace_and_margin_are_over(machine):
    clock = FakeClock()
    store = machine(clock)
    first = store.claim(claim_of(guarantee=AGAIN)).record
    command = claim_of(owner=SECOND, guarantee=AGAIN, witnessed=first.lease_until)

    clock.advance(LEASE + GRACE + SKEW - 1)
    before = store.claim(command).record
    clock.advance(1)
    after = store.claim(command).record

    assert (FIRST, SECOND) == (before.owner, after.owner)
    assert (clock(), clock() + LEASE) == (after.claimed_at, after.lease_until)


def test_who_decides_by_the_answer_counts_the_margin_as_well(machine):
    clock = FakeClock()
    store = machine(clock)
    store.claim(claim_of())

    clock.advance(LEASE + GRACE + SKEW - 1)
    record, now = store.claim(claim_of(owner=SECOND))
    inside = decide(record, PAYLOAD, SECOND, now)
    clock.advance(1)
    record, now = store.claim(claim_of(owner=SECOND))
    behind = decide(record, PAYLOAD, SECOND, now)

    assert isinstance(inside, InFlight)
    assert isinstance(behind, InFlight)
    assert (False, True) == (inside.ended, behind.ended)


@pytest.mark.parametrize("ahead", [-SKEW, 0.0, SKEW])
def test_no_outcome_is_forgotten_before_its_time_by_any_clock(machine, ahead):
    owners, others = two_clocks(ahead)
    done = completed(machine(owners))
    other = machine(others)

    owners.advance(HOUR - 0.001)
    found = other.find(ORDER)
    purged = other.purge()
    met = other.claim(claim_of(owner=SECOND)).record

    assert found is not None
    assert done == found.record == met
    assert 0 == purged


def test_dynamodbs_own_expiry_comes_after_every_clocks(machine, client, table):
    clock = FakeClock()
    store = machine(clock)
    done = completed(store, late_for=24 * HOUR)
    item = client.scan(TableName=table)["Items"][0]

    assert done.late_until is not None
    assert int(item["ttl"]["N"]) >= done.late_until + 300
    assert int(item["ttl"]["N"]) <= done.late_until + 2 * HOUR


def test_what_runs_has_no_expiry_of_dynamodbs(machine, client, table):
    store = machine(FakeClock())
    store.claim(claim_of())

    assert "ttl" not in client.scan(TableName=table)["Items"][0]


def test_work_is_not_settled_before_the_margin_is_over(machine):
    clock = FakeClock()
    store = machine(clock)
    store.claim(claim_of())

    clock.advance(LEASE + GRACE + SKEW)

    assert Status.RELEASED is store.settle(settlement_of()).status


def test_an_owner_renews_however_late_while_nobody_took_over(machine):
    clock = FakeClock()
    store = machine(clock)
    store.claim(claim_of(guarantee=AGAIN))
    now = clock.advance(10 * LEASE)

    renewed = store.renew(ORDER, FIRST)

    assert renewed is not None
    assert now + LEASE == renewed.lease_until


def dated(text):
    return {"ResponseMetadata": {"HTTPHeaders": {"date": text}}}


AT = dated("Fri, 15 Jan 2027 08:00:00 GMT")  # 1_800_000_000


@pytest.mark.parametrize(
    ("sent_at", "received_at", "drift"),
    [
        (1_800_000_000.2, 1_800_000_000.3, 0.0),
        (1_800_000_000.9, 1_800_000_001.9, 0.0),
        (1_799_999_999.5, 1_800_000_000.5, 0.0),
        (1_800_000_004.0, 1_800_000_004.1, 3.0),
        (1_799_999_996.0, 1_799_999_997.0, -3.0),
    ],
)
def test_drift_is_what_is_certain(sent_at, received_at, drift):
    assert drift == drift_of(AT, sent_at, received_at)


@pytest.mark.parametrize("response", [{}, dated("soon"), dated("")])
def test_an_answer_without_a_date_tells_nothing(response):
    assert drift_of(response, 0.0, 0.0) is None


def test_a_clock_beyond_the_margin_is_reported_once_in_a_while(caplog):
    drift = Drift(lambda: 1_800_000_100.0, SKEW)

    with caplog.at_level(logging.WARNING, logger="keyonce"):
        drift.look(AT, 1_800_000_100.0)
        drift.look(AT, 1_800_000_100.0)

    assert 1 == len(caplog.messages)
    assert "ahead of DynamoDB" in caplog.messages[0]


def test_a_clock_within_the_margin_is_not(caplog):
    drift = Drift(lambda: 1_800_000_000.5, SKEW)

    drift.look(AT, 1_800_000_000.4)

    assert [] == caplog.messages
