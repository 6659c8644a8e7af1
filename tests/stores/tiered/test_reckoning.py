# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What time it is at the durable store, as far as this machine can tell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyonce.stores.tiered.reckoning import FORGOTTEN_AFTER, MARGIN, Reckoning


class TwoClocks:
    sleepless = 1000.0
    wall = 5_000_000.0

    def __call__(self):
        return self.sleepless, self.wall


def test_nothing_is_known_before_the_store_said_something():
    assert Reckoning(TwoClocks()).now() is None


def test_what_passes_on_one_clock_alone_has_passed():
    for name in ("sleepless", "wall"):
        clocks = TwoClocks()
        reckoning = Reckoning(clocks)
        reckoning.heard(reckoning.instant(), 100.0)

        setattr(clocks, name, getattr(clocks, name) + 60)

        assert (160.0, 160.0 + MARGIN + 0.06) == reckoning.now()


def test_a_wall_clock_set_back_takes_nothing_away():
    clocks = TwoClocks()
    reckoning = Reckoning(clocks)
    reckoning.heard(reckoning.instant(), 100.0)

    clocks.sleepless += 60
    clocks.wall -= 3600

    now = reckoning.now()
    assert now is not None
    assert 160.0 == now[0]


def test_an_answer_that_comes_late_does_not_replace_a_newer_one():
    clocks = TwoClocks()
    reckoning = Reckoning(clocks)
    early = reckoning.instant()
    clocks.sleepless += 5
    reckoning.heard(reckoning.instant(), 105.0)
    reckoning.heard(early, 100.0)

    now = reckoning.now()

    assert now is not None
    assert 105.0 == now[0]


@given(
    on_the_way=st.floats(0, 30),
    back=st.floats(0, 30),
    later=st.floats(0, FORGOTTEN_AFTER * 2),
    slow=st.floats(0, 0.0005),
    fast=st.floats(0, 0.0005),
)
def test_the_store_is_never_later_than_reckoned(on_the_way, back, later, slow, fast):
    """Whatever a question took, with clocks that drift apart as far as is foreseen."""
    clocks = TwoClocks()
    reckoning = Reckoning(clocks)
    asked_at = reckoning.instant()
    here = (on_the_way + back + later) * (1 - slow)
    told = 100.0
    there = told + (back + later) * (1 + fast)
    clocks.sleepless += here
    clocks.wall += here
    reckoning.heard(asked_at, told)

    now = reckoning.now()

    assert now is None or there <= now[1]
