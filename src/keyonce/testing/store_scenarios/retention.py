# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How long a record lives: retention, tombstones, purging."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.states import Status
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    YEAR,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
)

if TYPE_CHECKING:
    from keyonce.core.protocols import Store
    from keyonce.testing.clock import FakeClock


class Retention:
    """Scenarios around the end of a record."""

    def test_after_retention_the_key_is_new(
        self, store: Store, clock: FakeClock
    ) -> None:
        completed(store)
        now = clock.advance(HOUR)

        assert store.find(ORDER) is None
        fresh = store.claim(claim_of(owner=SECOND)).record
        assert (Status.IN_PROGRESS, SECOND, 1, now) == (
            fresh.status,
            fresh.owner,
            fresh.executions,
            fresh.created_at,
        )
        assert fresh.result is None
        assert fresh == record_in(store)

    def test_before_its_end_retention_holds(
        self, store: Store, clock: FakeClock
    ) -> None:
        done = completed(store)
        clock.advance(HOUR - 1)

        assert done == record_in(store)
        assert done == store.claim(claim_of(owner=SECOND)).record

    def test_retention_begins_when_the_work_is_done(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of())
        clock.advance(HOUR)

        done = store.complete(completion_of(retention_for=1.0))

        assert done == record_in(store)

    def test_for_ever_is_for_ever(self, store: Store, clock: FakeClock) -> None:
        done = completed(store, retention_for=None)
        clock.advance(50 * YEAR)
        store.purge()

        assert done.expires_at is None
        assert done == record_in(store)

    def test_a_released_key_is_forgotten_after_its_retention(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of())
        store.release(ORDER, FIRST, "safe", HOUR)
        clock.advance(HOUR)

        assert store.find(ORDER) is None
        assert store.claim(claim_of(owner=SECOND)).record.executions == 1

    def test_a_released_key_without_retention_keeps_its_count(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of())
        store.release(ORDER, FIRST, "safe", None)
        clock.advance(YEAR)
        store.purge()

        assert store.claim(claim_of(owner=SECOND)).record.executions == 2

    def test_late_retries_meet_a_tombstone(
        self, store: Store, clock: FakeClock
    ) -> None:
        done = completed(store, late_for=24 * HOUR)
        clock.advance(HOUR)

        found = record_in(store)
        met = store.claim(claim_of(owner=SECOND)).record

        assert (
            found.status,
            found.result,
            found.fingerprint,
        ) == (Status.TOMBSTONE, None, None)
        assert done.late_until == found.expires_at
        assert found == met

    def test_a_tombstone_does_not_last_for_ever(
        self, store: Store, clock: FakeClock
    ) -> None:
        completed(store, late_for=24 * HOUR)
        clock.advance(25 * HOUR)

        assert store.find(ORDER) is None
        assert store.claim(claim_of(owner=SECOND)).record.executions == 1

    def test_what_expired_is_counted_until_it_is_purged(
        self, store: Store, clock: FakeClock
    ) -> None:
        completed(store, named("1"))
        completed(store, named("2"), late_for=HOUR)
        completed(store, named("3"), retention_for=YEAR)
        clock.advance(HOUR)

        before = store.stats().expired
        store.purge()
        after = store.stats().expired

        assert before in {None, 2}
        assert after in {None, 0}

    def test_purging_leaves_the_tombstone(self, store: Store, clock: FakeClock) -> None:
        completed(store, late_for=24 * HOUR)
        clock.advance(2 * HOUR)
        before = record_in(store)

        store.purge()

        assert before == record_in(store)
        assert Status.TOMBSTONE is store.claim(claim_of(owner=SECOND)).record.status
        clock.advance(24 * HOUR)
        store.purge()
        assert store.find(ORDER) is None

    def test_purging_removes_what_expired_and_says_how_many(
        self, store: Store, clock: FakeClock
    ) -> None:
        for number in range(5):
            completed(store, named(f"old-{number}"))
        completed(store, named("kept"), retention_for=YEAR)
        clock.advance(2 * HOUR)

        counts = [store.purge(2) for _ in range(4)]

        assert counts == [2, 2, 1, 0]
        assert store.stats().counts == {Status.COMPLETED: 1}
        assert Status.COMPLETED is record_in(store, named("kept")).status

    def test_what_runs_or_is_unknown_is_never_purged(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of(named("running")))
        store.claim(claim_of(named("unknown")))
        store.abandon(named("unknown"), FIRST, "crashed")
        before = [record_in(store, named(key)) for key in ("running", "unknown")]
        clock.advance(10 * YEAR)

        assert store.purge() == 0

        after = [record_in(store, named(key)) for key in ("running", "unknown")]
        assert before == after

    def test_a_key_that_is_claimed_anew_is_not_purged(
        self, store: Store, clock: FakeClock
    ) -> None:
        completed(store)
        clock.advance(2 * HOUR)
        fresh = store.claim(claim_of(owner=SECOND)).record

        store.purge()

        assert fresh == record_in(store)

    def test_a_key_that_is_completed_anew_lives_its_own_life(
        self, store: Store, clock: FakeClock
    ) -> None:
        completed(store)
        clock.advance(2 * HOUR)
        store.claim(claim_of(owner=SECOND))
        done = store.complete(completion_of(owner=SECOND))

        assert store.purge() == 0
        assert done == record_in(store)
        clock.advance(HOUR)
        store.purge()
        assert store.find(ORDER) is None

    def test_the_owner_of_a_purged_key_is_told_that_it_is_gone(
        self, store: Store, clock: FakeClock
    ) -> None:
        completed(store)
        clock.advance(2 * HOUR)
        store.purge()

        assert store.complete(completion_of()) is None
        assert store.renew(ORDER, FIRST) is None
        assert store.release(ORDER, FIRST, "safe", None) is False
        assert store.find(ORDER) is None

    def test_the_token_of_a_purged_key_does_not_work_on_the_next(
        self, store: Store, clock: FakeClock
    ) -> None:
        completed(store)
        clock.advance(2 * HOUR)
        store.purge()
        fresh = store.claim(claim_of(owner=SECOND)).record

        assert fresh == store.complete(completion_of())
        assert fresh == record_in(store)
