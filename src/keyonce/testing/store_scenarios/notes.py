# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What an owner writes down on the way, and who finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Note
from keyonce.core.states import Status
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    THIRD,
    claim_of,
    completed,
    completion_of,
    record_in,
    settlement_of,
    taken_over,
)

if TYPE_CHECKING:
    from keyonce.core.protocols import Store
    from keyonce.testing.clock import FakeClock

HALFWAY: Final = b"\x01held\x00\xff"
RESUME: Final = Guarantee.RESUME


class Notes:
    """Scenarios around note."""

    def test_what_the_owner_notes_is_in_the_record(
        self, store: Store, clock: FakeClock
    ) -> None:
        begun = store.claim(claim_of()).record
        clock.advance(5)

        assert store.note(Note(ORDER, FIRST, HALFWAY, "ch_1")) is True

        noted = begun._replace(steps=HALFWAY, reference="ch_1")
        assert noted == record_in(store)

    def test_a_note_of_one_thing_leaves_the_other(self, store: Store) -> None:
        store.claim(claim_of())
        store.note(Note(ORDER, FIRST, steps=HALFWAY))

        store.note(Note(ORDER, FIRST, reference="ch_1"))
        store.note(Note(ORDER, FIRST, steps=HALFWAY * 2))

        record = record_in(store)
        assert (HALFWAY * 2, "ch_1") == (record.steps, record.reference)

    def test_noting_again_says_yes(self, store: Store) -> None:
        store.claim(claim_of())
        note = Note(ORDER, FIRST, HALFWAY, "ch_1")
        store.note(note)
        noted = record_in(store)

        assert store.note(note) is True
        assert noted == record_in(store)

    def test_a_large_note_is_kept_whole(self, store: Store) -> None:
        store.claim(claim_of())
        large = bytes(range(256)) * 256

        store.note(Note(ORDER, FIRST, large))

        assert large == record_in(store).steps

    def test_a_strange_token_notes_nothing(self, store: Store) -> None:
        begun = store.claim(claim_of()).record

        assert store.note(Note(ORDER, SECOND, HALFWAY, "ch_1")) is False
        assert begun == record_in(store)

    def test_what_is_not_there_takes_no_note(self, store: Store) -> None:
        assert store.note(Note(ORDER, FIRST, HALFWAY)) is False
        assert store.find(ORDER) is None

    def test_what_has_ended_takes_no_note(self, store: Store) -> None:
        done = completed(store)

        assert store.note(Note(ORDER, FIRST, HALFWAY, "ch_1")) is False
        assert done == record_in(store)

    def test_an_unknown_key_takes_the_notes_of_its_owner(self, store: Store) -> None:
        store.claim(claim_of())
        store.abandon(ORDER, FIRST, "work-limit")

        assert store.note(Note(ORDER, FIRST, HALFWAY, "ch_1")) is True
        record = record_in(store)
        assert (Status.UNKNOWN, HALFWAY, "ch_1") == (
            record.status,
            record.steps,
            record.reference,
        )

    def test_a_renewal_leaves_the_notes(self, store: Store, clock: FakeClock) -> None:
        store.claim(claim_of())
        store.note(Note(ORDER, FIRST, HALFWAY, "ch_1"))
        clock.advance(5)

        renewed = store.renew(ORDER, FIRST)

        assert renewed == record_in(store)
        assert renewed is not None
        assert (HALFWAY, "ch_1") == (renewed.steps, renewed.reference)

    def test_whoever_takes_over_finds_the_notes(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of(guarantee=RESUME))
        store.note(Note(ORDER, FIRST, HALFWAY, "ch_1"))

        second = taken_over(store, clock, guarantee=RESUME)

        assert (SECOND, HALFWAY, "ch_1") == (
            second.owner,
            second.steps,
            second.reference,
        )
        assert second == record_in(store)

    def test_whoever_ends_the_lease_finds_the_notes(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of())
        store.note(Note(ORDER, FIRST, HALFWAY, "ch_1"))

        ended = taken_over(store, clock)

        assert (Status.UNKNOWN, HALFWAY, "ch_1") == (
            ended.status,
            ended.steps,
            ended.reference,
        )
        assert ended == record_in(store)

    def test_who_comes_meanwhile_sees_the_notes(self, store: Store) -> None:
        store.claim(claim_of())
        store.note(Note(ORDER, FIRST, HALFWAY, "ch_1"))

        seen = store.claim(claim_of(owner=SECOND)).record

        assert (FIRST, HALFWAY, "ch_1") == (seen.owner, seen.steps, seen.reference)
        assert seen == record_in(store)

    def test_a_note_of_no_steps_takes_them_away(self, store: Store) -> None:
        begun = store.claim(claim_of()).record
        store.note(Note(ORDER, FIRST, HALFWAY))

        assert store.note(Note(ORDER, FIRST, b"")) is True
        assert begun == record_in(store)

    def test_a_note_of_nothing_asks_who_holds_the_key(self, store: Store) -> None:
        begun = store.claim(claim_of()).record

        assert store.note(Note(ORDER, FIRST)) is True
        assert store.note(Note(ORDER, SECOND)) is False
        assert begun == record_in(store)

    def test_whoever_lost_the_key_notes_nothing(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of(guarantee=RESUME))
        second = taken_over(store, clock, guarantee=RESUME)

        assert store.note(Note(ORDER, FIRST, HALFWAY, "ch_1")) is False
        assert second == record_in(store)

    def test_the_notes_outlive_a_release(self, store: Store) -> None:
        store.claim(claim_of(guarantee=RESUME))
        store.note(Note(ORDER, FIRST, HALFWAY, "ch_1"))
        store.release(ORDER, FIRST, "raised", HOUR)

        again = store.claim(claim_of(owner=SECOND, guarantee=RESUME)).record

        assert (HALFWAY, "ch_1") == (again.steps, again.reference)
        assert again == record_in(store)

    def test_the_notes_outlive_an_operators_release(self, store: Store) -> None:
        store.claim(claim_of())
        store.note(Note(ORDER, FIRST, HALFWAY, "ch_1"))
        store.abandon(ORDER, FIRST, "crashed")

        freed = store.settle(settlement_of())

        assert (Status.RELEASED, HALFWAY) == (freed.status, freed.steps)
        again = store.claim(claim_of(owner=SECOND)).record
        assert (HALFWAY, "ch_1") == (again.steps, again.reference)

    def test_completing_drops_the_steps_and_keeps_the_reference(
        self, store: Store
    ) -> None:
        store.claim(claim_of())
        store.note(Note(ORDER, FIRST, HALFWAY, "ch_1"))

        done = store.complete(completion_of())

        assert done is not None
        assert (b"", "ch_1", ANSWER) == (done.steps, done.reference, done.result)
        assert done == record_in(store)

    def test_resolving_drops_the_steps(self, store: Store) -> None:
        store.claim(claim_of())
        store.note(Note(ORDER, FIRST, HALFWAY, "ch_1"))
        store.abandon(ORDER, FIRST, "crashed")

        resolved = store.settle(settlement_of(result=ANSWER))

        assert (b"", "ch_1") == (resolved.steps, resolved.reference)
        assert resolved == record_in(store)

    def test_a_key_that_begins_anew_has_no_notes(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of())
        store.note(Note(ORDER, FIRST, HALFWAY, "ch_1"))
        store.release(ORDER, FIRST, "raised", HOUR)
        clock.advance(2 * HOUR)

        anew = store.claim(claim_of(owner=SECOND)).record

        assert (1, b"", None) == (anew.executions, anew.steps, anew.reference)
        assert anew == record_in(store)

    def test_an_older_note_changes_nothing(self, store: Store) -> None:
        store.claim(claim_of())
        older = Note(ORDER, FIRST, b"older", "ch_0", number=2)
        store.note(older)
        store.note(Note(ORDER, FIRST, HALFWAY, "ch_1", number=3))
        newest = record_in(store)

        assert store.note(older) is True
        assert newest == record_in(store)
        assert (HALFWAY, "ch_1") == (newest.steps, newest.reference)

    def test_an_older_note_of_one_thing_changes_nothing(self, store: Store) -> None:
        store.claim(claim_of())
        store.note(Note(ORDER, FIRST, steps=HALFWAY, number=3))
        store.note(Note(ORDER, FIRST, reference="ch_1", number=4))
        newest = record_in(store)

        assert store.note(Note(ORDER, FIRST, reference="ch_0", number=2)) is True
        assert store.note(Note(ORDER, FIRST, steps=b"", number=2)) is True
        assert store.note(Note(ORDER, FIRST, steps=b"older", number=3)) is True
        assert newest == record_in(store)
        assert (HALFWAY, "ch_1") == (newest.steps, newest.reference)

    def test_the_last_note_again_is_the_same_note(self, store: Store) -> None:
        store.claim(claim_of())
        last = Note(ORDER, FIRST, HALFWAY, "ch_1", number=2)
        store.note(last)
        noted = record_in(store)

        assert store.note(last) is True
        assert noted == record_in(store)

    def test_an_unknown_key_takes_no_older_note(self, store: Store) -> None:
        store.claim(claim_of())
        store.note(Note(ORDER, FIRST, HALFWAY, "ch_1", number=2))
        store.abandon(ORDER, FIRST, "work-limit")
        newest = record_in(store)

        assert store.note(Note(ORDER, FIRST, b"older", "ch_0", number=1)) is True
        assert newest == record_in(store)

    def test_each_owner_counts_its_own_notes(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of(guarantee=RESUME))
        store.note(Note(ORDER, FIRST, HALFWAY, "ch_1", number=9))
        taken_over(store, clock, guarantee=RESUME)

        assert store.note(Note(ORDER, SECOND, b"mine", "ch_2", number=1)) is True
        assert store.note(Note(ORDER, FIRST, b"late", "ch_0", number=10)) is False

        record = record_in(store)
        assert (b"mine", "ch_2") == (record.steps, record.reference)
        store.release(ORDER, SECOND, "raised", HOUR)
        store.claim(claim_of(owner=THIRD, guarantee=RESUME))
        assert store.note(Note(ORDER, THIRD, b"third", number=1)) is True
        assert b"third" == record_in(store).steps
