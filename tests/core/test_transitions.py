# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core import transitions
from keyonce.core.errors import SettlementRefused
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import StoredResult
from keyonce.core.states import Status
from tests.core.records import (
    ALICE,
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    BOB,
    CAROL,
    DAY,
    GRACE,
    IDENTITY,
    LEASE,
    NOW,
    OTHER,
    PRINT,
    RESULT,
    buried,
    claim,
    completion,
    finished,
    freed,
    running,
    settlement,
    unclear,
)

ENDED = NOW + LEASE + GRACE
FOR_EVER = NOW + 1e9
RUNS_AGAIN = [guarantee for guarantee in Guarantee if guarantee.runs_again]
every_guarantee = pytest.mark.parametrize("guarantee", Guarantee)


def witnessed(owner=BOB, record=None, **changes):
    """A claim by one who has seen the lease of *record* end and has waited."""
    return claim(owner, witnessed=(record or running()).lease_until, **changes)


class TestClaim:
    @every_guarantee
    def test_the_first_claim_of_a_key_begins_a_record(self, guarantee):
        change = transitions.claim(None, claim(guarantee=guarantee), NOW)

        assert change.written
        record = change.record
        assert (IDENTITY, Status.IN_PROGRESS) == (record.identity, record.status)
        assert (guarantee, ALICE) == (record.guarantee, record.owner)
        assert (1, 0) == (record.executions, record.crashes)
        assert (NOW, NOW) == (record.created_at, record.claimed_at)
        assert (LEASE, NOW + LEASE) == (record.lease_for, record.lease_until)
        assert PRINT == record.fingerprint
        assert b"map of same request" == record.fields
        assert (None, None, None) == (
            record.ended_at,
            record.expires_at,
            record.late_until,
        )
        assert (None, None, None) == (record.result, record.reference, record.reason)

    def test_a_repeated_claim_of_the_owner_changes_nothing(self):
        record = running()

        assert (record, False) == transitions.claim(record, claim(), NOW + 1)

    def test_not_even_its_own_ended_lease_is_claimed_again_by_the_owner(self):
        record = running()

        again = transitions.claim(record, witnessed(ALICE), ENDED)

        assert (record, False) == again

    def test_a_second_claimant_gets_the_record_and_changes_nothing(self):
        record = running()

        assert (record, False) == transitions.claim(record, claim(BOB), NOW + 1)

    @pytest.mark.parametrize("record", [finished(), unclear(), buried()])
    def test_an_ended_record_is_not_claimed(self, record):
        now = NOW + (DAY if record.status is Status.TOMBSTONE else 1)

        assert (record, False) == transitions.claim(record, claim(BOB), now)

    def test_a_released_record_is_claimed_and_counted_on(self):
        record = freed(executions=4, created_at=NOW - 9)

        change = transitions.claim(record, claim(BOB, fingerprint=OTHER), NOW + 5)

        assert change.written
        assert Status.IN_PROGRESS is change.record.status
        assert (BOB, 5) == (change.record.owner, change.record.executions)
        assert (NOW - 9, NOW + 5) == (
            change.record.created_at,
            change.record.claimed_at,
        )
        assert (OTHER, b"map of other request") == (
            change.record.fingerprint,
            change.record.fields,
        )
        assert (None, None, None) == (
            change.record.reason,
            change.record.ended_at,
            change.record.expires_at,
        )

    def test_a_key_past_its_retention_is_a_new_one(self):
        change = transitions.claim(finished(), claim(BOB), NOW + DAY)

        assert (transitions.claim(None, claim(BOB), NOW + DAY)) == change

    def test_a_key_past_its_tombstone_is_a_new_one(self):
        change = transitions.claim(finished(late_for=DAY), claim(BOB), NOW + 2 * DAY)

        assert (transitions.claim(None, claim(BOB), NOW + 2 * DAY)) == change


class TestTakingOver:
    @every_guarantee
    @pytest.mark.parametrize("seen", [None, NOW + LEASE - 1, NOW + LEASE + 1])
    def test_a_lease_whose_end_was_not_witnessed_stays(self, guarantee, seen):
        record = running(guarantee=guarantee)

        change = transitions.claim(record, claim(BOB, witnessed=seen), FOR_EVER)

        assert (record, False) == change

    @every_guarantee
    @pytest.mark.parametrize("now", [NOW, NOW + LEASE, ENDED - 0.001])
    def test_a_lease_stays_until_its_grace_is_over(self, guarantee, now):
        record = running(guarantee=guarantee)

        assert (record, False) == transitions.claim(record, witnessed(), now)

    @every_guarantee
    def test_another_request_never_ends_a_lease(self, guarantee):
        record = running(guarantee=guarantee)

        change = transitions.claim(record, witnessed(fingerprint=OTHER), FOR_EVER)

        assert (record, False) == change

    def test_at_most_once_becomes_unknown_and_keeps_its_owner(self):
        change = transitions.claim(running(), witnessed(), ENDED)

        assert change.written
        assert running(
            status=Status.UNKNOWN, reason="lease-ended", ended_at=ENDED, crashes=1
        ) == (change.record)

    @pytest.mark.parametrize("guarantee", RUNS_AGAIN)
    def test_the_other_guarantees_give_the_key_to_the_claimant(self, guarantee):
        record = running(guarantee=guarantee, created_at=NOW - 9, executions=2)
        command = witnessed(guarantee=guarantee)

        change = transitions.claim(record, command, ENDED)

        assert change.written
        fresh = transitions.claim(None, command, ENDED).record
        assert change.record == fresh._replace(
            created_at=NOW - 9, executions=3, crashes=1
        )

    def test_the_guarantee_of_the_one_that_began_decides(self):
        begun_safe = running(guarantee=AT_MOST_ONCE)
        begun_loose = running(guarantee=AT_LEAST_ONCE)

        safe = transitions.claim(begun_safe, witnessed(guarantee=AT_LEAST_ONCE), ENDED)
        loose = transitions.claim(begun_loose, witnessed(guarantee=AT_MOST_ONCE), ENDED)

        assert Status.UNKNOWN is safe.record.status
        assert (Status.IN_PROGRESS, BOB) == (loose.record.status, loose.record.owner)

    @pytest.mark.parametrize("guarantee", RUNS_AGAIN)
    def test_after_so_many_crashes_the_key_is_parked(self, guarantee):
        record = running(guarantee=guarantee, crashes=2, executions=3)

        change = transitions.claim(record, witnessed(), ENDED)

        assert change.written
        assert change.record == record._replace(
            status=Status.UNKNOWN, reason="parked", ended_at=ENDED, crashes=3
        )

    @given(st.integers(1, 12))
    def test_a_key_is_begun_exactly_as_often_as_it_may_crash(self, most):
        now, record, runs = NOW, running(guarantee=AT_LEAST_ONCE), 1
        while record.status is Status.IN_PROGRESS:
            now = record.lease_until + GRACE
            command = witnessed(
                b"%d" % runs, record, max_crashes=most, guarantee=AT_LEAST_ONCE
            )
            record = transitions.claim(record, command, now).record
            runs += record.status is Status.IN_PROGRESS

        assert (most, most) == (runs, record.executions)
        assert ("parked", most) == (record.reason, record.crashes)

    def test_only_the_first_of_two_witnesses_ends_a_lease(self):
        record = running(guarantee=AT_LEAST_ONCE)

        first = transitions.claim(record, witnessed(BOB), ENDED)
        second = transitions.claim(first.record, witnessed(CAROL), FOR_EVER)

        assert (first.record, False) == second

    def test_an_owner_that_renews_in_its_grace_keeps_the_key(self):
        renewed = transitions.renew(running(), ALICE, ENDED - 1)
        assert renewed is not None

        change = transitions.claim(renewed.record, witnessed(), ENDED)

        assert (renewed.record, False) == change


class TestRenew:
    def test_a_lease_is_prolonged_from_now(self):
        change = transitions.renew(running(), ALICE, NOW + 11)

        assert (running(lease_until=NOW + 11 + LEASE), True) == change

    def test_an_unknown_record_comes_back_as_it_is(self):
        assert (unclear(), False) == transitions.renew(unclear(), ALICE, NOW + 1)

    @pytest.mark.parametrize("record", [None, finished(), freed(), buried()])
    def test_what_has_ended_is_not_renewed(self, record):
        assert transitions.renew(record, ALICE, NOW + 1) is None

    @pytest.mark.parametrize("record", [running(), unclear()])
    def test_nobody_renews_the_lease_of_another(self, record):
        assert transitions.renew(record, BOB, NOW + 1) is None


class TestComplete:
    @pytest.mark.parametrize("open_record", [running(crashes=2), unclear()])
    def test_the_owner_stores_its_outcome(self, open_record):
        command = completion(reference="ch_1", late_for=60.0)

        change = transitions.complete(open_record, command, NOW + 5)

        assert change is not None
        assert change.written
        assert change.record == open_record._replace(
            status=Status.COMPLETED,
            ended_at=NOW + 5,
            expires_at=NOW + 5 + DAY,
            late_until=NOW + 5 + DAY + 60,
            result=RESULT,
            reference="ch_1",
            reason=None,
            crashes=0,
        )

    def test_a_reference_of_before_is_kept(self):
        record = running(reference="ch_0")

        change = transitions.complete(record, completion(), NOW)

        assert change is not None
        assert "ch_0" == change.record.reference

    def test_no_retention_keeps_the_outcome_for_ever(self):
        command = completion(retention_for=None, late_for=60.0)

        change = transitions.complete(running(), command, NOW)

        assert change is not None
        assert (None, None) == (change.record.expires_at, change.record.late_until)
        assert change.record == transitions.standing(change.record, FOR_EVER)

    def test_a_retention_of_zero_is_zero_and_not_for_ever(self):
        change = transitions.complete(running(), completion(retention_for=0.0), NOW)

        assert change is not None
        assert NOW == change.record.expires_at

    def test_completing_twice_changes_nothing_the_second_time(self):
        later = completion(result=StoredResult(500))

        assert (finished(), False) == transitions.complete(finished(), later, NOW + 1)

    @pytest.mark.parametrize("record", [running(BOB), finished(BOB), unclear(BOB)])
    def test_an_old_owner_gets_the_record_and_changes_nothing(self, record):
        assert (record, False) == transitions.complete(record, completion(), NOW + 1)

    def test_a_released_record_is_not_completed(self):
        assert (freed(), False) == transitions.complete(freed(), completion(), NOW)

    def test_a_record_that_is_gone_is_not_made_again(self):
        assert transitions.complete(None, completion(), NOW) is None


class TestRelease:
    def test_the_count_stays_and_the_fingerprint_is_forgotten(self):
        record = running(executions=3, crashes=2)

        change = transitions.release(record, ALICE, "refused", DAY, NOW + 1)

        assert change is not None
        assert change.written
        assert change.record == record._replace(
            status=Status.RELEASED,
            fingerprint=None,
            fields=b"",
            reason="refused",
            crashes=0,
            ended_at=NOW + 1,
            expires_at=NOW + 1 + DAY,
        )

    def test_without_retention_it_stays_released_for_ever(self):
        change = transitions.release(running(), ALICE, "refused", None, NOW)

        assert change is not None
        assert change.record.expires_at is None

    def test_releasing_twice_changes_nothing_the_second_time(self):
        again = transitions.release(freed(), ALICE, "again", None, NOW + 1)

        assert (freed(), False) == again

    @pytest.mark.parametrize("record", [None, finished(), unclear(), running(BOB)])
    def test_what_is_not_running_under_this_owner_is_not_released(self, record):
        assert transitions.release(record, ALICE, "refused", None, NOW) is None

    def test_a_released_key_passes_away_after_its_retention(self):
        assert freed() == transitions.standing(freed(), NOW + DAY - 0.001)
        assert transitions.standing(freed(), NOW + DAY) is None


class TestAbandon:
    def test_the_owner_says_that_it_cannot_tell(self):
        change = transitions.abandon(running(), ALICE, "timed out", NOW + 1)

        expected = running(status=Status.UNKNOWN, reason="timed out", ended_at=NOW + 1)
        assert (expected, True) == change

    def test_abandoning_twice_changes_nothing_the_second_time(self):
        again = transitions.abandon(unclear(), ALICE, "again", NOW + 1)

        assert (unclear(), False) == again

    @pytest.mark.parametrize("record", [None, finished(), freed(), running(BOB)])
    def test_what_is_not_running_under_this_owner_is_not_abandoned(self, record):
        assert transitions.abandon(record, ALICE, "timed out", NOW) is None


class TestSettle:
    ABANDONED_RUN = running(guarantee=AT_LEAST_ONCE, crashes=1)

    @pytest.mark.parametrize(
        ("record", "now"),
        [(unclear(crashes=2), NOW), (running(), ENDED), (ABANDONED_RUN, ENDED)],
    )
    def test_an_operator_resolves_with_an_outcome(self, record, now):
        command = settlement(result=RESULT, retention_for=60.0)

        change = transitions.settle(record, command, now)

        assert change.written
        assert change.record == record._replace(
            owner=b"",
            status=Status.COMPLETED,
            result=RESULT,
            reason="operator",
            crashes=0,
            ended_at=now,
            expires_at=now + 60,
        )

    def test_resolving_for_ever_is_possible(self):
        command = settlement(result=RESULT, retention_for=None)

        assert transitions.settle(unclear(), command, NOW).record.expires_at is None

    def test_an_operator_frees_the_key(self):
        change = transitions.settle(unclear(executions=2), settlement(), NOW + 1)

        assert change.written
        assert Status.RELEASED is change.record.status
        assert (b"", None, b"") == (
            change.record.owner,
            change.record.fingerprint,
            change.record.fields,
        )
        assert (2, 0, "operator") == (
            change.record.executions,
            change.record.crashes,
            change.record.reason,
        )

    @pytest.mark.parametrize("result", [None, RESULT])
    def test_a_late_owner_can_do_nothing_after_a_settlement(self, result):
        settled = transitions.settle(unclear(), settlement(result=result), NOW).record

        assert (settled, False) == transitions.complete(settled, completion(), NOW)
        assert transitions.renew(settled, ALICE, NOW) is None
        assert transitions.release(settled, ALICE, "late", None, NOW) is None
        assert transitions.abandon(settled, ALICE, "late", NOW) is None

    @pytest.mark.parametrize(
        ("record", "now", "told"),
        [
            (None, NOW, "no record"),
            (finished(), NOW + DAY, "no record"),
            (running(), NOW, "still running"),
            (running(), ENDED - 0.001, "still running"),
            (finished(), NOW, "completed"),
            (freed(), NOW, "released"),
            (finished(late_for=DAY), NOW + DAY, "tombstone"),
        ],
    )
    @pytest.mark.parametrize("result", [None, RESULT])
    def test_nothing_else_is_settled(self, record, now, told, result):
        with pytest.raises(SettlementRefused, match=told):
            transitions.settle(record, settlement(result=result), now)


class TestRetention:
    @pytest.mark.parametrize("record", [running(), unclear()])
    def test_a_record_in_progress_or_unknown_never_passes_away(self, record):
        assert record == transitions.standing(record, FOR_EVER)
        assert record == transitions.purge(record, FOR_EVER)

    def test_nothing_is_nothing(self):
        assert transitions.standing(None, NOW) is None

    def test_an_outcome_stands_until_its_retention_is_over(self):
        record = finished()

        assert record is transitions.standing(record, NOW + DAY - 0.001)
        assert record is transitions.purge(record, NOW + DAY - 0.001)
        assert transitions.standing(record, NOW + DAY) is None
        assert transitions.purge(record, NOW + DAY) is None

    def test_a_tombstone_forgets_the_outcome_and_remembers_that_there_was_one(self):
        record = finished(late_for=DAY, reference="ch_1")

        tomb = transitions.purge(record, NOW + DAY)

        assert tomb == record._replace(
            status=Status.TOMBSTONE,
            fingerprint=None,
            fields=b"",
            result=None,
            expires_at=record.late_until,
        )
        assert tomb == transitions.purge(record, NOW + 2 * DAY - 0.001)
        assert transitions.purge(record, NOW + 2 * DAY) is None

    def test_a_written_tombstone_passes_away_as_well(self):
        tomb = buried()

        assert tomb == transitions.purge(tomb, NOW + 2 * DAY - 0.001)
        assert transitions.purge(tomb, NOW + 2 * DAY) is None


class TestLease:
    def test_the_grace_is_one_renewal(self):
        assert GRACE == transitions.grace(LEASE)

    def test_a_lease_has_ended_when_its_grace_is_over(self):
        assert not transitions.lease_ended(running(), ENDED - 0.001)
        assert transitions.lease_ended(running(), ENDED)


class TestEffectiveStatus:
    @pytest.mark.parametrize(
        ("record", "now", "met"),
        [
            (running(), ENDED - 0.001, Status.IN_PROGRESS),
            (running(), ENDED, Status.UNKNOWN),
            (running(guarantee=AT_LEAST_ONCE), ENDED, Status.IN_PROGRESS),
            (unclear(), FOR_EVER, Status.UNKNOWN),
            (finished(), NOW, Status.COMPLETED),
            (finished(), NOW + DAY, Status.RELEASED),
            (finished(late_for=DAY), NOW + DAY, Status.TOMBSTONE),
            (freed(), NOW, Status.RELEASED),
        ],
    )
    def test_it_is_what_the_next_attempt_would_meet(self, record, now, met):
        assert met is transitions.effective_status(record, now)
