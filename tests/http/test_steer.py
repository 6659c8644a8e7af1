# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.http.steer import UNSTEERED, Steered, read_steering


@pytest.mark.parametrize("word", list(Steered))
def test_an_upstream_says_how_it_ended(word):
    headers = ((b"Keyonce-Outcome", word.encode()),)

    assert word is read_steering(headers).outcome


def test_an_upstream_sets_retention_and_reference():
    steering = read_steering(
        ((b"keyonce-retention", b"7d"), (b"keyonce-reference", b" ch_123 "))
    )

    assert (604_800.0, "ch_123", ()) == (
        steering.retention_for,
        steering.reference,
        steering.warnings,
    )


def test_an_answer_without_steering_is_unsteered():
    assert UNSTEERED is read_steering(((b"content-type", b"text/plain"),))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"keyonce-outcome", b"stored"),
        (b"keyonce-outcome", b""),
        (b"keyonce-retention", b"0"),
        (b"keyonce-retention", b"soon"),
        (b"keyonce-retention", b"-7d"),
        (b"keyonce-reference", b""),
        (b"keyonce-reference", b"a" * 256),
        (b"keyonce-reference", b"caf\xe9"),
        (b"keyonce-retain", b"7d"),
    ],
)
def test_a_bad_value_is_ignored_and_reported(name, value):
    steering = read_steering(((name, value),))

    assert (None, None, None) == (
        steering.outcome,
        steering.retention_for,
        steering.reference,
    )
    assert 1 == len(steering.warnings)
    assert name.decode().title() in steering.warnings[0]


def test_a_header_that_is_there_twice_is_ignored_and_reported():
    steering = read_steering(
        ((b"keyonce-outcome", b"store"), (b"keyonce-outcome", b"release"))
    )

    assert None is steering.outcome
    assert "twice" in steering.warnings[0]


def test_one_bad_header_does_not_spoil_the_others():
    steering = read_steering(
        ((b"keyonce-outcome", b"release"), (b"keyonce-retention", b"x"))
    )

    assert Steered.RELEASE is steering.outcome


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [b"keyonce-outcome", b"keyonce-retention", b"keyonce-reference"]
            ),
            st.binary(max_size=20),
        )
    ).map(tuple)
)
def test_no_value_breaks_the_reading(headers):
    steering = read_steering(headers)

    assert steering.retention_for is None or steering.retention_for > 0
