# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from keyonce.core.events import RAN, SUPPRESSED, NoObserver, Observers, Outcome, Purged


class Raising:
    def notify(self, event):
        raise RuntimeError("full")


class Listening:
    def __init__(self):
        self.events = []

    def notify(self, event):
        self.events.append(event)


def test_one_observer_that_raises_does_not_stop_the_others():
    first, last = Listening(), Listening()

    Observers(first, Raising(), last, NoObserver()).notify(Purged(3))

    assert [Purged(3)] == first.events == last.events


def test_no_outcome_both_ran_and_was_suppressed():
    assert set(Outcome) > RAN | SUPPRESSED
    assert frozenset() == RAN & SUPPRESSED
