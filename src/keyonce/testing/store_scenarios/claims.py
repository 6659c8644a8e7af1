# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Who gets the key, and what the others are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.model import Claimed, Record
from keyonce.core.states import Status
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    GRACE,
    HOUR,
    LEASE,
    ORDER,
    OTHER_PAYLOAD,
    PAYLOAD,
    SECOND,
    claim_of,
    completed,
    named,
    record_in,
)

if TYPE_CHECKING:
    from keyonce.core.protocols import Store
    from keyonce.testing.clock import FakeClock


class Claims:
    """Scenarios around claim and find."""

    def test_a_free_key_goes_to_the_first(self, store: Store, clock: FakeClock) -> None:
        now = clock()

        claimed = store.claim(claim_of())

        expected = Record(
            identity=ORDER,
            status=Status.IN_PROGRESS,
            guarantee=claim_of().guarantee,
            owner=FIRST,
            executions=1,
            created_at=now,
            claimed_at=now,
            lease_for=LEASE,
            lease_until=now + LEASE,
            fingerprint=PAYLOAD,
            fields=b"field map",
        )
        assert Claimed(expected, now) == claimed
        assert claimed == store.find(ORDER)

    def test_a_key_that_nobody_used_is_not_found(self, store: Store) -> None:
        assert store.find(ORDER) is None
        assert store.find(ORDER) is None

    def test_the_second_is_told_of_the_first(
        self, store: Store, clock: FakeClock
    ) -> None:
        first = store.claim(claim_of()).record
        clock.advance(1)

        second = store.claim(claim_of(owner=SECOND))

        assert Claimed(first, clock()) == second
        assert first == record_in(store)

    def test_another_payload_is_told_of_the_first_and_changes_nothing(
        self, store: Store
    ) -> None:
        first = store.claim(claim_of()).record

        second = store.claim(claim_of(owner=SECOND, fingerprint=OTHER_PAYLOAD))

        assert first == second.record
        assert first == record_in(store)

    def test_a_claim_whose_reply_was_lost_is_asked_again(
        self, store: Store, clock: FakeClock
    ) -> None:
        first = store.claim(claim_of()).record
        clock.advance(1)

        again = store.claim(claim_of()).record

        assert first == again
        assert again.executions == 1

    def test_repeating_a_claim_does_not_prolong_its_lease(
        self, store: Store, clock: FakeClock
    ) -> None:
        first = store.claim(claim_of()).record
        clock.advance(LEASE + GRACE + 1)

        again = store.claim(claim_of(witnessed=first.lease_until)).record

        assert first == again

    def test_a_completed_key_answers_with_its_outcome(
        self, store: Store, clock: FakeClock
    ) -> None:
        done = completed(store)
        clock.advance(1)

        late = store.claim(claim_of(owner=SECOND)).record

        assert done == late
        assert late.result == ANSWER

    def test_a_completed_key_keeps_its_fingerprint_and_fields(
        self, store: Store
    ) -> None:
        completed(store)

        seen = store.claim(claim_of(owner=SECOND, fingerprint=OTHER_PAYLOAD)).record

        assert seen.fingerprint == PAYLOAD
        assert seen.fields == b"field map"

    def test_a_released_key_goes_to_the_next(
        self, store: Store, clock: FakeClock
    ) -> None:
        created = store.claim(claim_of()).record.created_at
        store.release(ORDER, FIRST, "safe", HOUR)
        now = clock.advance(5)

        next_one = store.claim(
            claim_of(owner=SECOND, fingerprint=OTHER_PAYLOAD, lease_for=60.0)
        ).record

        assert (
            next_one.status,
            next_one.owner,
            next_one.executions,
        ) == (Status.IN_PROGRESS, SECOND, 2)
        assert next_one.fingerprint == OTHER_PAYLOAD
        assert (created, now, now + 60) == (
            next_one.created_at,
            next_one.claimed_at,
            next_one.lease_until,
        )
        assert (next_one.reason, next_one.ended_at, next_one.expires_at) == (
            None,
            None,
            None,
        )
        assert next_one == record_in(store)

    def test_an_unknown_key_stays_unknown(self, store: Store, clock: FakeClock) -> None:
        store.claim(claim_of())
        store.abandon(ORDER, FIRST, "crashed")
        before = record_in(store)
        clock.advance(HOUR)

        seen = store.claim(claim_of(owner=SECOND, witnessed=before.lease_until)).record

        assert before == seen
        assert before == record_in(store)

    def test_the_field_map_is_made_for_the_digest_when_a_record_is_written(
        self, store: Store
    ) -> None:
        digests = []

        def field_map(digest: bytes) -> bytes:
            digests.append(digest)
            return b"made"

        written = store.claim(claim_of(field_map=field_map)).record

        assert written.fields == b"made"
        assert [PAYLOAD.digest] == digests

    def test_the_field_map_is_not_made_when_nothing_is_written(
        self, store: Store
    ) -> None:
        store.claim(claim_of())
        completed(store, named("done"))
        made = []

        def field_map(digest: bytes) -> bytes:
            made.append(digest)
            return b""

        store.claim(claim_of(owner=SECOND, field_map=field_map))
        store.claim(claim_of(named("done"), SECOND, field_map=field_map))

        assert made == []

    def test_keys_do_not_meet(self, store: Store) -> None:
        store.claim(claim_of(named("a")))

        other = store.claim(claim_of(named("b"), SECOND)).record

        assert other.owner == SECOND
        assert record_in(store, named("a")).owner == FIRST
