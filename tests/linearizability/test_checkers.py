# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Two checkers that share nothing agree, and see what is bad."""

from __future__ import annotations

import pytest

from tests.linearizability import search, sweep
from tests.linearizability.campaign import agreement, bad_ones
from tests.linearizability.history import (
    COMPLETED,
    IN_PROGRESS,
    RELEASED,
    UNKNOWN,
    Asked,
    Call,
    History,
    Seen,
)
from tests.linearizability.planted import KINDS

A, B = "owner-a", "owner-b"
CLAIM_A, CLAIM_B, LOOK = Asked("claim", A), Asked("claim", B), Asked("find")
DONE = Asked("complete", A, "done")
RUNS_A = Seen(IN_PROGRESS, A, 1, "", "")
RUNS_B = Seen(IN_PROGRESS, B, 1, "", "")
AGAIN_B = Seen(IN_PROGRESS, B, 2, "", "")
HELD_BY_A = Seen(IN_PROGRESS, A, 1)
DONE_BY_A = Seen(COMPLETED, A, 1, "done")
FOUND_DONE = DONE_BY_A._replace(steps="")


@pytest.mark.parametrize(
    ("holds", "calls"),
    [
        (True, [Call(LOOK, 1, 2)]),
        (True, [Call(CLAIM_A, 1, 4, RUNS_A), Call(CLAIM_B, 2, 3, HELD_BY_A)]),
        (False, [Call(CLAIM_A, 3, 4, RUNS_A), Call(CLAIM_B, 1, 2, HELD_BY_A)]),
        (False, [Call(CLAIM_A, 1, 4, RUNS_A), Call(CLAIM_B, 2, 3, RUNS_B)]),
        # A reply that was lost: the claim is there, or not, or comes later.
        (True, [Call(CLAIM_A, 1), Call(CLAIM_B, 2, 3, HELD_BY_A)]),
        (True, [Call(CLAIM_A, 1), Call(CLAIM_B, 2, 3, RUNS_B)]),
        (
            True,
            [
                Call(CLAIM_A, 1, 2, RUNS_A),
                Call(DONE, 3),
                Call(LOOK, 4, 5, RUNS_A),
                Call(LOOK, 6, 7, FOUND_DONE),
            ],
        ),
        (
            False,
            [
                Call(CLAIM_A, 1, 2, RUNS_A),
                Call(DONE, 3),
                Call(LOOK, 4, 5, FOUND_DONE),
                Call(LOOK, 6, 7, RUNS_A),
            ],
        ),
        # At one instant both orders are possible.
        (True, [Call(CLAIM_A, 1, 2, RUNS_A), Call(LOOK, 2, 3, None)]),
        (False, [Call(CLAIM_A, 1, 2, RUNS_A), Call(LOOK, 3, 4, None)]),
        (
            True,
            [
                Call(CLAIM_A, 1, 2, RUNS_A),
                Call(Asked("release", A), 3, 4, True),
                Call(CLAIM_B, 5, 6, AGAIN_B),
                Call(DONE, 7, 8, Seen(IN_PROGRESS, B, 2)),
            ],
        ),
        (
            False,
            [
                Call(CLAIM_A, 1, 2, RUNS_A),
                Call(Asked("release", A), 3, 4, True),
                Call(CLAIM_B, 5, 6, AGAIN_B),
                Call(DONE, 7, 8, DONE_BY_A),
            ],
        ),
        (
            False,
            [
                Call(CLAIM_A, 1, 2, RUNS_A),
                Call(Asked("abandon", A), 3, 4, True),
                Call(CLAIM_B, 5, 6, AGAIN_B),
            ],
        ),
        (
            True,
            [
                Call(CLAIM_A, 1, 2, RUNS_A),
                Call(Asked("abandon", A), 3, 4, True),
                Call(Asked("free"), 5, 6, Seen(RELEASED, "", 1)),
                Call(CLAIM_B, 7, 8, AGAIN_B),
            ],
        ),
    ],
)
def test_a_history_that_is_known(holds, calls):
    history = History(runs_again=False, calls=tuple(calls))

    assert holds == search.linearizable(history)
    assert holds == sweep.linearizable(history)


@pytest.mark.parametrize(
    ("runs_again", "taken"), [(False, Seen(UNKNOWN, A, 1)), (True, AGAIN_B)]
)
def test_a_lease_that_ended_is_renewed_or_ended_and_not_both(runs_again, taken):
    ended = (Call(CLAIM_A, 1, 2, RUNS_A), Call(Asked("lapse"), 3, 4))
    claim = Asked("claim", B, witnessed=True)
    renew = Asked("renew", A)
    meanwhile = Call(claim, 5, 8, taken)
    in_time = History(runs_again, (*ended, Call(renew, 6, 7, HELD_BY_A)))
    lost = None if runs_again else Seen(UNKNOWN, A, 1)

    for judge in (search.linearizable, sweep.linearizable):
        assert judge(in_time)
        assert judge(History(runs_again, (*ended, meanwhile)))
        assert judge(History(runs_again, (*ended, meanwhile, Call(renew, 6, 7, lost))))
        assert not judge(
            History(runs_again, (*in_time.calls, Call(claim, 8, 9, taken)))
        )


def test_the_checkers_agree_on_a_thousand_histories():
    figures = agreement(1000)

    assert ([], []) == (figures.differing, figures.wrong)
    assert 1000 == figures.histories
    assert figures.rejected > 200
    assert figures.overlapping > 900
    assert figures.open > 200


def test_both_reject_what_is_bad_by_construction():
    figures = bad_ones(110)

    assert ([], []) == (figures.differing, figures.wrong)
    assert (110, 0) == (figures.rejected, figures.accepted)
    assert {kind.__name__: 10 for kind in KINDS} == figures.kinds
