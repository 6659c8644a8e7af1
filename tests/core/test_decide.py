# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from keyonce.core.decide import (
    Expired,
    Incomparable,
    InFlight,
    Mismatch,
    Proceed,
    Replay,
    Unknown,
    decide,
    lease_of,
)
from keyonce.core.errors import RecordUnreadable
from keyonce.core.model import Fingerprint, Lease, StoredResult
from tests.core.records import (
    ALICE,
    AT_MOST_ONCE,
    BOB,
    GRACE,
    IDENTITY,
    LEASE,
    NOW,
    OTHER,
    PRINT,
    buried,
    finished,
    freed,
    running,
    unclear,
)

NEWER = Fingerprint("2", b"same request")


def test_whoever_got_the_key_proceeds_under_its_lease():
    record = running(executions=2)

    lease = Lease(
        IDENTITY, ALICE, AT_MOST_ONCE, 2, NOW, LEASE, born_at=record.created_at
    )
    assert lease == lease_of(record)
    assert Proceed(lease) == decide(record, PRINT, ALICE, NOW)


def test_an_owner_whose_record_is_unknown_does_not_proceed():
    assert Unknown(unclear()) == decide(unclear(), PRINT, ALICE, NOW)


def test_a_tombstone_refuses_whatever_the_request():
    assert Expired(buried()) == decide(buried(), OTHER, BOB, NOW)


def test_a_done_key_replays():
    assert Replay(finished()) == decide(finished(), PRINT, BOB, NOW)


def test_a_sealed_outcome_is_never_an_answer():
    sealed = StoredResult(201, (), b"envelope", size=8, sealed="2026-11")

    with pytest.raises(RecordUnreadable, match=r"the key '2026-11'.*'sealed\+'"):
        decide(finished(result=sealed), PRINT, BOB, NOW)


def test_a_done_key_replays_also_when_its_body_was_not_kept():
    record = finished(result=StoredResult(200, kept=False, size=10**9))

    assert Replay(record) == decide(record, PRINT, BOB, NOW)


def test_an_unknown_key_is_unknown():
    assert Unknown(unclear()) == decide(unclear(), PRINT, BOB, NOW)


def test_a_running_key_is_in_flight_and_tells_its_age():
    assert InFlight(running(), 7.0) == decide(running(), PRINT, BOB, NOW + 7)


def test_a_clock_that_went_back_gives_no_negative_age():
    assert InFlight(running(), 0.0) == decide(running(), PRINT, BOB, NOW - 7)


def test_a_running_key_tells_that_its_lease_is_over():
    over = LEASE + GRACE

    assert InFlight(running(), over, ended=True) == decide(
        running(), PRINT, BOB, NOW + over
    )


@pytest.mark.parametrize("record", [running(), finished(), unclear()])
def test_another_request_is_a_mismatch_whatever_the_state(record):
    assert Mismatch(record) == decide(record, OTHER, BOB, NOW)


@pytest.mark.parametrize("record", [running(), finished(), unclear()])
def test_another_scheme_says_nothing_even_of_equal_digests(record):
    assert Incomparable(record) == decide(record, NEWER, BOB, NOW)


def test_without_a_fingerprint_nothing_can_be_compared():
    assert Incomparable(freed()) == decide(freed(), PRINT, BOB, NOW)
    stripped = finished()._replace(fingerprint=None)
    assert Incomparable(stripped) == decide(stripped, PRINT, BOB, NOW)
