# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How long the right to do the work lasts, and what its end means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.guarantee import Guarantee
from keyonce.core.states import Status
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    GRACE,
    HOUR,
    LEASE,
    ORDER,
    OTHER_PAYLOAD,
    SECOND,
    THIRD,
    claim_of,
    completion_of,
    pass_lease,
    record_in,
    taken_over,
)

if TYPE_CHECKING:
    from keyonce.core.protocols import Store
    from keyonce.testing.clock import FakeClock


class Leases:
    """Scenarios around renew and the end of a lease."""

    def test_a_key_was_born_once_whoever_reads_it(
        self, store: Store, clock: FakeClock
    ) -> None:
        clock.advance(0.123_456_789)  # downstream keys are made of this instant
        born = store.claim(claim_of(guarantee=Guarantee.RESUME)).record.created_at
        read = record_in(store).created_at

        after = taken_over(store, clock, guarantee=Guarantee.RESUME)
        read_after = record_in(store).created_at
        store.release(ORDER, SECOND, "raised", HOUR)
        clock.advance(5)
        again = store.claim(claim_of(guarantee=Guarantee.RESUME)).record

        told = (read, after.created_at, read_after, again.created_at)
        assert (born,) * 4 == told
        assert born == record_in(store).created_at

    def test_renewing_prolongs_from_now(self, store: Store, clock: FakeClock) -> None:
        store.claim(claim_of())
        now = clock.advance(10)

        renewed = store.renew(ORDER, FIRST)

        assert renewed is not None
        assert now + LEASE == renewed.lease_until
        assert renewed == record_in(store)

    def test_renewing_twice_is_renewing(self, store: Store, clock: FakeClock) -> None:
        store.claim(claim_of())
        clock.advance(10)

        once = store.renew(ORDER, FIRST)
        twice = store.renew(ORDER, FIRST)

        assert once is not None
        assert once == twice

    def test_a_lease_of_part_of_a_second_is_kept_exactly(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of(lease_for=0.1))

        record = record_in(store)

        assert record.lease_for == 0.1
        assert clock() + 0.1 == record.lease_until

    def test_what_is_not_there_is_not_renewed(self, store: Store) -> None:
        assert store.renew(ORDER, FIRST) is None
        assert store.find(ORDER) is None

    def test_a_strange_token_renews_nothing(
        self, store: Store, clock: FakeClock
    ) -> None:
        before = store.claim(claim_of()).record
        clock.advance(1)

        assert store.renew(ORDER, SECOND) is None
        assert before == record_in(store)

    def test_a_completed_key_is_not_renewed(self, store: Store) -> None:
        store.claim(claim_of())
        done = store.complete(completion_of())

        assert store.renew(ORDER, FIRST) is None
        assert done == record_in(store)

    def test_an_owner_that_comes_late_still_renews(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of())
        now = clock.advance(10 * LEASE)

        renewed = store.renew(ORDER, FIRST)

        assert renewed is not None
        assert now + LEASE == renewed.lease_until

    def test_an_ended_lease_is_not_free_before_somebody_saw_it_end(
        self, store: Store, clock: FakeClock
    ) -> None:
        for number, guarantee in enumerate(sorted(store.traits.guarantees)):
            identity = ORDER._replace(key=str(number))
            before = store.claim(claim_of(identity, guarantee=guarantee)).record
            clock.advance(10 * LEASE)

            seen = store.claim(claim_of(identity, SECOND, guarantee=guarantee)).record

            assert before == seen
            assert before == record_in(store, identity)

    def test_a_witness_of_another_lease_gets_nothing(
        self, store: Store, clock: FakeClock
    ) -> None:
        first = store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE)).record
        clock.advance(LEASE)
        renewed = store.renew(ORDER, FIRST)
        pass_lease(clock)

        seen = store.claim(
            claim_of(
                owner=SECOND,
                guarantee=Guarantee.AT_LEAST_ONCE,
                witnessed=first.lease_until,
            )
        )

        assert renewed == seen.record

    def test_the_owner_has_a_renewals_grace(
        self, store: Store, clock: FakeClock
    ) -> None:
        first = store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE)).record
        command = claim_of(
            owner=SECOND,
            guarantee=Guarantee.AT_LEAST_ONCE,
            witnessed=first.lease_until,
        )

        clock.advance(LEASE + GRACE - 1)
        inside = store.claim(command).record
        clock.advance(1)
        behind = store.claim(command).record

        assert first == inside
        assert behind.owner == SECOND

    def test_another_payload_ends_no_lease(
        self, store: Store, clock: FakeClock
    ) -> None:
        first = store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE)).record
        pass_lease(clock)

        seen = store.claim(
            claim_of(
                owner=SECOND, fingerprint=OTHER_PAYLOAD, witnessed=first.lease_until
            )
        )

        assert first == seen.record

    def test_each_guarantee_ends_a_lease_in_its_way(
        self, store: Store, clock: FakeClock
    ) -> None:
        for number, guarantee in enumerate(sorted(store.traits.guarantees)):
            identity = ORDER._replace(key=str(number))
            first = store.claim(claim_of(identity, guarantee=guarantee)).record
            pass_lease(clock)

            after = store.claim(
                claim_of(
                    identity, SECOND, guarantee=guarantee, witnessed=first.lease_until
                )
            ).record

            assert after.crashes == 1
            assert first.created_at == after.created_at
            assert after == record_in(store, identity)
            if guarantee.runs_again:
                assert (
                    after.status,
                    after.owner,
                    after.executions,
                ) == (Status.IN_PROGRESS, SECOND, 2)
                assert (clock(), clock() + LEASE) == (
                    after.claimed_at,
                    after.lease_until,
                )
            else:
                assert (
                    after.status,
                    after.owner,
                    after.executions,
                ) == (Status.UNKNOWN, FIRST, 1)
                assert ("lease-ended", clock()) == (after.reason, after.ended_at)

    def test_a_takeover_whose_reply_was_lost_is_asked_again(
        self, store: Store, clock: FakeClock
    ) -> None:
        first = store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE)).record
        pass_lease(clock)
        command = claim_of(
            owner=SECOND,
            guarantee=Guarantee.AT_LEAST_ONCE,
            witnessed=first.lease_until,
        )

        once = store.claim(command).record
        twice = store.claim(command).record

        assert once == twice
        assert (twice.owner, twice.executions, twice.crashes) == (SECOND, 2, 1)

    def test_of_two_witnesses_one_takes_over(
        self, store: Store, clock: FakeClock
    ) -> None:
        first = store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE)).record
        second = taken_over(store, clock)

        third = store.claim(
            claim_of(
                owner=THIRD,
                guarantee=Guarantee.AT_LEAST_ONCE,
                witnessed=first.lease_until,
            )
        ).record

        assert second.owner == SECOND
        assert second == third

    def test_the_owner_who_lost_the_key_changes_nothing(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE))
        winner = taken_over(store, clock)

        assert store.renew(ORDER, FIRST) is None
        assert winner == store.complete(completion_of())
        assert store.release(ORDER, FIRST, "safe", None) is False
        assert store.abandon(ORDER, FIRST, "crashed") is False

        assert winner == record_in(store)

    def test_the_owner_who_lost_the_key_is_given_the_winners_outcome(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE))
        taken_over(store, clock)
        done = store.complete(completion_of(owner=SECOND))

        late = store.complete(completion_of())

        assert late is not None
        assert done == late
        assert (late.owner, late.result) == (SECOND, ANSWER)

    def test_a_key_whose_workers_keep_vanishing_is_parked(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE))

        once = taken_over(store, clock, owner=SECOND, max_crashes=2)
        parked = taken_over(store, clock, owner=THIRD, max_crashes=2)

        assert (once.status, once.crashes) == (Status.IN_PROGRESS, 1)
        assert (
            parked.status,
            parked.reason,
            parked.owner,
            parked.crashes,
            parked.executions,
        ) == (Status.UNKNOWN, "parked", SECOND, 2, 2)

    def test_a_clear_end_forgives_the_crashes(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE))
        taken_over(store, clock)

        store.release(ORDER, SECOND, "safe", None)

        assert record_in(store).crashes == 0
        assert store.claim(claim_of(owner=THIRD)).record.crashes == 0

    def test_an_unknown_key_is_not_prolonged_but_still_its_owners(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of())
        unknown = taken_over(store, clock, guarantee=Guarantee.AT_MOST_ONCE)

        renewed = store.renew(ORDER, FIRST)
        done = store.complete(completion_of())

        assert unknown == renewed
        assert done is not None
        assert (
            done.status,
            done.owner,
            done.result,
            done.reason,
            done.crashes,
        ) == (Status.COMPLETED, FIRST, ANSWER, None, 0)

    def test_an_unknown_key_is_nobody_elses(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of())
        unknown = taken_over(store, clock, guarantee=Guarantee.AT_MOST_ONCE)

        assert store.renew(ORDER, SECOND) is None
        assert unknown == store.complete(completion_of(owner=SECOND))
        assert store.abandon(ORDER, SECOND, "crashed") is False
        assert unknown == record_in(store)
