# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Steps hold results of parts of the work: they are sealed like outcomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyonce.core.codec import decode, encode
from keyonce.core.errors import RecordUnreadable
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Note, Query
from keyonce.core.states import Status
from keyonce.stores.memory import MemoryStore
from keyonce.stores.sealed import Sealed
from keyonce.stores.sealed.envelope import STEPS, bound_to
from keyonce.stores.sqlite import SQLiteStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completion_of,
    named,
    record_in,
    settlement_of,
    taken_over,
)
from tests.stores.sealed.cases import DROPPED, RING, ROTATED, run_sql

SECRET = b'{"iban": "DE02120300000000202051"}'
NOTE = Note(ORDER, FIRST, SECRET, "ch_1")
OTHER = named("order-2")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def memory(clock):
    return MemoryStore(clock=clock)


def begun(store, note=NOTE):
    store.claim(claim_of(note.identity, guarantee=Guarantee.RESUME))
    assert store.note(note)
    return store


def test_no_step_lies_in_the_files_and_the_reference_does(tmp_path):
    store = begun(Sealed(SQLiteStore(tmp_path / "keyonce.db"), RING))

    told = b"".join(file.read_bytes() for file in sorted(tmp_path.iterdir()))
    (listed,) = store.records(Query())

    assert SECRET == record_in(store).steps
    assert "ch_1" == listed.reference
    assert SECRET[:8] not in told
    assert b"ch_1" in told
    store.close()


def test_steps_are_sealed_under_the_current_key_and_opened_by_any(memory, clock):
    begun(Sealed(memory, RING))

    taken = taken_over(Sealed(memory, ROTATED), clock, guarantee=Guarantee.RESUME)
    Sealed(memory, ROTATED).note(NOTE._replace(owner=SECOND))

    assert SECRET == taken.steps
    assert "2026" == decode(record_in(memory).steps).sealed


def test_steps_without_their_key_are_unreadable_until_the_key_is_back(memory):
    begun(Sealed(memory, RING))
    without = Sealed(memory, DROPPED)

    for call in (
        lambda: without.find(ORDER),
        lambda: without.claim(claim_of(owner=SECOND)),
        lambda: without.renew(ORDER, FIRST),
    ):
        with pytest.raises(RecordUnreadable, match=r"steps.*'2025', which is not in"):
            call()

    assert SECRET == record_in(Sealed(memory, ROTATED)).steps


def test_steps_of_another_key_do_not_open(tmp_path):
    path = tmp_path / "keyonce.db"
    store = begun(Sealed(SQLiteStore(path), RING))
    begun(store, NOTE._replace(identity=OTHER))
    ((steps,),) = run_sql(path, "SELECT steps FROM keyonce_records WHERE id = 1")
    run_sql(path, "UPDATE keyonce_records SET steps = ?", (steps,))

    assert SECRET == record_in(store).steps
    with pytest.raises(RecordUnreadable, match=r"steps.*cannot be opened"):
        store.find(OTHER)
    store.close()


def test_an_outcome_is_not_taken_for_steps(memory, clock):
    sealed = Sealed(memory, RING)
    sealed.claim(claim_of())
    sealed.complete(completion_of())
    outcome = record_in(memory).result
    assert outcome is not None
    other = MemoryStore(clock=clock)
    other.claim(claim_of())
    other.note(Note(ORDER, FIRST, encode(outcome)))

    with pytest.raises(RecordUnreadable, match="cannot be opened"):
        Sealed(other, RING).find(ORDER)


def test_plain_steps_are_taken_only_until_the_switch_is_over(memory, clock):
    begun(memory)
    until = datetime.fromtimestamp(clock(), UTC) + timedelta(hours=1)
    lenient = Sealed(memory, RING, accept_plain_until=until, clock=clock)

    assert SECRET == record_in(lenient).steps
    clock.advance(2 * HOUR)
    with pytest.raises(RecordUnreadable, match="accept_plain_until"):
        lenient.find(ORDER)


def test_an_operator_settles_also_what_nobody_can_open(memory):
    begun(Sealed(memory, RING))
    memory.abandon(ORDER, FIRST, "crashed")
    without = Sealed(memory, DROPPED)

    freed = without.settle(settlement_of())

    assert (Status.RELEASED, b"") == (freed.status, freed.steps)


def test_a_completion_drops_the_steps_and_answers_in_the_clear(memory):
    sealed = begun(Sealed(memory, RING))

    done = sealed.complete(completion_of())

    assert (b"", "ch_1", ANSWER) == (done.steps, done.reference, done.result)


def test_what_steps_are_bound_to():
    assert (
        b"34:keyonce sealed account of steps v14:20265:alice12:POST /orders7:order-1"
        == bound_to(ORDER, "2026", STEPS)
    )
