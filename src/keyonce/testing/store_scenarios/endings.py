# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How work ends: completed, released, abandoned; each once, each by its owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.model import StoredResult
from keyonce.core.states import Status
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    PAYLOAD,
    SECOND,
    claim_of,
    completed,
    completion_of,
    record_in,
)

if TYPE_CHECKING:
    from keyonce.core.protocols import Store
    from keyonce.testing.clock import FakeClock


class Endings:
    """Scenarios around complete, release and abandon."""

    def test_the_owner_completes(self, store: Store, clock: FakeClock) -> None:
        begun = store.claim(claim_of()).record
        now = clock.advance(5)

        done = store.complete(completion_of(reference="charge-7"))

        assert done is not None
        assert (
            done.status,
            done.owner,
            done.result,
            done.reference,
        ) == (Status.COMPLETED, FIRST, ANSWER, "charge-7")
        assert (begun.created_at, begun.claimed_at) == (
            done.created_at,
            done.claimed_at,
        )
        assert (now, now + HOUR, None) == (
            done.ended_at,
            done.expires_at,
            done.late_until,
        )
        assert (done.fingerprint, done.executions) == (PAYLOAD, 1)

    def test_what_was_completed_is_found_with_its_outcome(self, store: Store) -> None:
        done = completed(store)

        assert done == record_in(store)
        assert done == store.claim(claim_of(owner=SECOND)).record

    def test_the_lease_of_a_completed_key_reads_as_it_was_claimed(
        self, store: Store
    ) -> None:
        begun = store.claim(claim_of()).record
        store.complete(completion_of())

        done = record_in(store)

        assert (begun.lease_for, begun.lease_until) == (
            done.lease_for,
            done.lease_until,
        )

    def test_completing_again_changes_nothing(
        self, store: Store, clock: FakeClock
    ) -> None:
        done = completed(store)
        clock.advance(5)

        again = store.complete(
            completion_of(result=StoredResult(500, (), b"other"), retention_for=None)
        )

        assert done == again
        assert done == record_in(store)

    def test_what_was_never_claimed_is_not_completed(self, store: Store) -> None:
        assert store.complete(completion_of()) is None
        assert store.find(ORDER) is None

    def test_a_strange_token_completes_nothing(self, store: Store) -> None:
        begun = store.claim(claim_of()).record

        told = store.complete(completion_of(owner=SECOND))

        assert begun == told
        assert begun == record_in(store)

    def test_a_released_key_is_not_completed(self, store: Store) -> None:
        store.claim(claim_of())
        store.release(ORDER, FIRST, "safe", None)
        released = record_in(store)

        told = store.complete(completion_of())

        assert told is not None
        assert (told.status, told.result) == (Status.RELEASED, None)
        assert released == record_in(store)

    def test_the_owner_releases(self, store: Store, clock: FakeClock) -> None:
        store.claim(claim_of())
        now = clock.advance(5)

        assert store.release(ORDER, FIRST, "safe-to-retry", HOUR) is True

        freed = record_in(store)
        assert (
            freed.status,
            freed.reason,
            freed.executions,
        ) == (Status.RELEASED, "safe-to-retry", 1)
        assert (freed.fingerprint, freed.fields, freed.result) == (None, b"", None)
        assert (now, now + HOUR) == (freed.ended_at, freed.expires_at)

    def test_releasing_again_says_yes_and_changes_nothing(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of())
        store.release(ORDER, FIRST, "safe", HOUR)
        freed = record_in(store)
        clock.advance(5)

        assert store.release(ORDER, FIRST, "other", None) is True
        assert freed == record_in(store)

    def test_a_strange_token_releases_nothing(self, store: Store) -> None:
        begun = store.claim(claim_of()).record

        assert store.release(ORDER, SECOND, "safe", None) is False
        assert begun == record_in(store)

    def test_what_is_not_there_is_not_released(self, store: Store) -> None:
        assert store.release(ORDER, FIRST, "safe", None) is False
        assert store.find(ORDER) is None

    def test_a_completed_key_is_not_released(self, store: Store) -> None:
        done = completed(store)

        assert store.release(ORDER, FIRST, "safe", None) is False
        assert done == record_in(store)

    def test_the_owner_abandons(self, store: Store, clock: FakeClock) -> None:
        begun = store.claim(claim_of()).record
        now = clock.advance(5)

        assert store.abandon(ORDER, FIRST, "work-limit") is True

        unknown = record_in(store)
        assert (Status.UNKNOWN, "work-limit", FIRST, now, None) == (
            unknown.status,
            unknown.reason,
            unknown.owner,
            unknown.ended_at,
            unknown.expires_at,
        )
        assert begun.fingerprint == unknown.fingerprint

    def test_abandoning_again_says_yes_and_changes_nothing(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of())
        store.abandon(ORDER, FIRST, "crashed")
        unknown = record_in(store)
        clock.advance(5)

        assert store.abandon(ORDER, FIRST, "other") is True
        assert unknown == record_in(store)

    def test_a_strange_token_abandons_nothing(self, store: Store) -> None:
        begun = store.claim(claim_of()).record

        assert store.abandon(ORDER, SECOND, "crashed") is False
        assert begun == record_in(store)

    def test_what_has_ended_is_not_abandoned(self, store: Store) -> None:
        assert store.abandon(ORDER, FIRST, "crashed") is False
        done = completed(store)

        assert store.abandon(ORDER, FIRST, "crashed") is False
        assert done == record_in(store)

    def test_an_unknown_key_is_not_released_by_its_owner(self, store: Store) -> None:
        store.claim(claim_of())
        store.abandon(ORDER, FIRST, "crashed")
        unknown = record_in(store)

        assert store.release(ORDER, FIRST, "safe", None) is False
        assert unknown == record_in(store)

    def test_the_owner_completes_what_it_abandoned(self, store: Store) -> None:
        store.claim(claim_of())
        store.abandon(ORDER, FIRST, "work-limit")

        done = store.complete(completion_of())

        assert done is not None
        assert (
            done.status,
            done.result,
            done.reason,
        ) == (Status.COMPLETED, ANSWER, None)
        assert done == record_in(store)
