# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the guarantees promise holds in every state of a small world, by TLC.

Each mistake that the specification knows is found, each property by one that breaks
it: a check that nothing can fail would prove nothing.
"""

from __future__ import annotations

import pytest

from tests.spec.tlc import INVARIANTS, LIVENESS, PROPERTIES, Model, check

PROMISED = [
    Model("exactly-once", purging=True),
    Model("resume", purging=True),
    Model("at-most-once", verdict="truth", purging=True),
]


@pytest.mark.parametrize("model", PROMISED, ids=lambda model: model.guarantee)
def test_one_effect_one_answer_and_an_end(model, tmp_path):
    looked = check(model, tmp_path, properties=(*PROPERTIES, "Answered"))

    assert looked.violated is None
    assert looked.states > 3000


def test_at_least_once_keeps_all_but_the_one_effect(tmp_path):
    others = tuple(name for name in INVARIANTS if name != "AtMostOneEffect")

    looked = check(Model("at-least-once", purging=True), tmp_path, others)

    assert looked.violated is None
    assert looked.states > 3000


@pytest.mark.parametrize(
    ("model", "broken"),
    [
        (Model("at-least-once"), "AtMostOneEffect"),
        # A fencing token gives one answer, and still two effects.
        (Model("token at effect"), "AtMostOneEffect"),
        (Model("error frees"), "AtMostOneEffect"),
        # Who looks only at what has happened so far lets a late worker act twice.
        (Model("at-most-once", verdict="hindsight"), "AtMostOneEffect"),
        (Model("free complete"), "OneAnswer"),
        (Model("answer first"), "AnsweredMeansDone"),
        (Model("free release"), "StaleChangesNothing"),
        # After a purge, a token that begins at 1 anew is an old worker's, too.
        (Model("exactly-once", tokens="restart", purging=True), "AtMostOneEffect"),
        (Model("resume", tokens="restart", purging=True), "StaleChangesNothing"),
    ],
    ids=str,
)
def test_a_mistake_is_found(model, broken, tmp_path):
    looked = check(model, tmp_path, ("TypeOK", broken), ())

    assert looked.violated == broken


@pytest.mark.parametrize(
    ("model", "broken"),
    [
        (Model("free release"), "DoneStays"),
        (Model("no lease"), "Ends"),
        # Without anybody to settle it, a key may stay unknown.
        (Model("at-most-once", verdict="nobody"), "Answered"),
    ],
    ids=str,
)
def test_a_mistake_in_the_course_of_things_is_found(model, broken, tmp_path):
    looked = check(model, tmp_path, ("TypeOK",), (broken,))

    assert looked.violated in {broken, LIVENESS}
