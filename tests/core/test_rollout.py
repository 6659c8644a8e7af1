# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.errors import ConfigurationError
from keyonce.core.model import Identity
from keyonce.core.rollout import Rollout, Stage

identities = st.builds(Identity, st.text(), st.text(), st.text())
KEYS = [Identity("tenant", "POST /payments", f"k-{number}") for number in range(4000)]


def covered(percent):
    rollout = Rollout(percent=percent)
    return {identity for identity in KEYS if rollout.covers(identity)}


def test_a_rollout_is_whole_by_default():
    assert (Stage.ENFORCE, False) == (Rollout().stage, Rollout().partial)


@given(identities)
def test_a_whole_rollout_covers_every_key(identity):
    assert Rollout(percent=100).covers(identity)


@given(identities)
def test_a_rollout_of_nothing_covers_no_key(identity):
    assert not Rollout(percent=0).covers(identity)


@given(identities, st.floats(0, 100))
def test_a_key_gets_the_same_answer_every_time(identity, percent):
    assert Rollout(percent=percent).covers(identity) == (
        Rollout(Stage.OBSERVE, percent).covers(identity)
    )


@given(identities, st.floats(0, 100), st.floats(0, 100))
def test_a_key_that_is_in_stays_in_when_the_share_grows(identity, one, other):
    less, more = sorted([one, other])
    if Rollout(percent=less).covers(identity):
        assert Rollout(percent=more).covers(identity)


def test_the_answers_are_the_same_in_every_version():
    """A deploy must not move keys in and out of the share."""
    assert [3, 5, 6, 9] == [
        number for number in range(10) if KEYS[number] in covered(50)
    ]


@pytest.mark.parametrize("percent", [1, 10, 25, 50, 99])
def test_a_share_is_about_what_it_says(percent):
    share = 100 * len(covered(percent)) / len(KEYS)

    assert math.isclose(percent, share, abs_tol=2.5)


def test_all_three_parts_of_an_identity_count():
    half = Rollout(percent=50)
    for place in range(3):
        parts = [["same"] * 3 for _ in range(64)]
        for number, part in enumerate(parts):
            part[place] = str(number)
        assert {True, False} == {half.covers(Identity(*part)) for part in parts}


@pytest.mark.parametrize("percent", [-0.1, 100.1, math.nan, math.inf])
def test_a_share_outside_of_all_is_refused(percent):
    with pytest.raises(ConfigurationError, match=r"0 % to 100 %, not"):
        Rollout(percent=percent)


def test_a_stage_may_be_said_by_its_word():
    assert Rollout(Stage.OBSERVE) == Rollout("observe")  # type: ignore[arg-type]
    assert Stage.OBSERVE is Rollout("observe").stage  # type: ignore[arg-type]


def test_a_word_that_is_no_stage_is_refused():
    with pytest.raises(ConfigurationError, match="'enforce', not 'on'"):
        Rollout("on")  # type: ignore[arg-type]
