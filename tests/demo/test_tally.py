# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The figures count what the ledger and the clients say, and the verdict follows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyonce.demo.ledger import Effect, Ledger, effects_in
from keyonce.demo.plan import plan
from keyonce.demo.storm import Attempt, Notes
from keyonce.demo.tally import Figures, shortcomings, tally

SCHEDULE = plan(1, 50)[:20]

BARE = Figures(
    operations=20,
    attempts=40,
    answers=35,
    effects=30,
    double_effects=10,
    lost_effects=0,
    never_ran=0,
    different_answers=5,
    replays=0,
    conflicts=0,
    mismatches=0,
    unknown=0,
    unanswered=0,
    p50=0.01,
    p99=0.1,
    rate=100.0,
    seconds=0.4,
    strikes=3,
)
GUARDED = replace(BARE, effects=20, double_effects=0, different_answers=0, replays=9)


def effect(number: int) -> Effect:
    return Effect(SCHEDULE[number].name, "charge", 5, "abc", 1)


def attempt(number: int, status: int | None = 201, **more) -> Attempt:
    operation = SCHEDULE[number]
    note = Attempt(operation.name, operation.key, 5, 0, 0.01, status)
    return replace(note, **more)


def figures(attempts, effects) -> Figures:
    return tally(SCHEDULE, Notes(tuple(attempts), 2.0, 0), effects)


def test_an_effect_beyond_the_first_is_double():
    found = figures([attempt(0)], [effect(0), effect(0), effect(0), effect(1)])

    assert (4, 2) == (found.effects, found.double_effects)
    assert 18 == found.never_ran
    assert found.effects == 20 - found.never_ran + found.double_effects


def test_a_success_without_an_effect_is_lost():
    found = figures([attempt(0), attempt(1), attempt(2, 500)], [effect(1)])

    assert 1 == found.lost_effects


def test_answers_differ_within_one_key_and_payload_only():
    found = figures(
        [
            attempt(0, digest=b"a"),
            attempt(0, digest=b"a"),
            attempt(0, digest=b"b"),
            attempt(0, digest=b"c", amount=6),
            attempt(0, 409, digest=b"d"),
            attempt(1, digest=b"e"),
        ],
        [],
    )

    assert 1 == found.different_answers


def test_answers_are_counted_by_what_they_say():
    found = figures(
        [
            attempt(0, replayed=True),
            attempt(1, 409, code="request-in-progress"),
            attempt(2, 409, code="outcome-unknown"),
            attempt(2, 409, code="outcome-unknown"),
            attempt(3, 422, code="key-reused"),
            attempt(4, None),
        ],
        [],
    )

    assert (6, 5) == (found.attempts, found.answers)
    assert 1 == found.replays
    assert 3 == found.conflicts
    assert 1 == found.mismatches
    assert 1 == found.unknown
    assert 18 == found.unanswered
    assert 3.0 == found.rate


def test_percentiles_are_of_whole_answers():
    took = [attempt(0, took=0.001 * n) for n in range(1, 101)]

    found = figures([*took, attempt(1, None, took=9.0)], [])

    assert (0.05, 0.099) == (found.p50, found.p99)


def test_a_kept_promise_has_no_shortcoming():
    assert [] == shortcomings(BARE, GUARDED, 3)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"double_effects": 1}, "double effects"),
        ({"lost_effects": 1}, "not done"),
        ({"different_answers": 1}, "different answers"),
        ({"unanswered": 1}, "unanswered"),
        ({"never_ran": 6}, "work done"),
        ({"replays": 0}, "replayed nothing"),
        ({"strikes": 2}, "was not"),
    ],
)
def test_a_broken_guarded_side_fails(broken, words):
    [sentence] = shortcomings(BARE, replace(GUARDED, **broken), 3)

    assert words in sentence


def test_a_bare_side_without_harm_proves_nothing():
    [sentence] = shortcomings(replace(BARE, double_effects=0), GUARDED, 3)

    assert "no storm" in sentence


def test_the_ledger_keeps_every_effect(tmp_path):
    ledger = Ledger.make(tmp_path / "shop.db")
    ledger.act(effect(0))
    ledger.act(effect(1))
    ledger.act(effect(0))

    mine = ledger.effects(SCHEDULE[0].name)

    ledger.close()
    assert [effect(0), effect(0)] == mine
    assert [effect(0), effect(1), effect(0)] == effects_in(tmp_path / "shop.db")


def test_an_operation_is_held_the_first_time_only(tmp_path):
    ledger = Ledger.make(tmp_path / "shop.db")

    held = [ledger.hold("a"), ledger.hold("a"), ledger.hold("b")]

    ledger.close()
    assert [True, False, True] == held
