# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Many runs of one guarantee: distinct schedules, what they reached, what they broke."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice

from keyonce.core.guarantee import Guarantee
from tests.simulation.oracle import judge
from tests.simulation.plan import BOUNDED, FAILOVER, UNBOUNDED
from tests.simulation.reach import missing, reached
from tests.simulation.run import run

GUARANTEES = (Guarantee.RESUME, Guarantee.AT_MOST_ONCE, Guarantee.AT_LEAST_ONCE)
#: Of ten runs, how many are of which mode.
MIX = (BOUNDED,) * 6 + (UNBOUNDED,) * 3 + (FAILOVER,)


@dataclass(slots=True)
class Campaign:
    """What is known of one guarantee so far.

    A schedule counts once: by the order of what happened, not by its times; and only
    if at least one fault was met.
    """

    guarantee: Guarantee
    schedules: set[bytes] = field(default_factory=set)
    states: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    requests: int = 0
    violations: list[str] = field(default_factory=list)

    def go_on(self, names: Iterator[str], wanted: int) -> None:
        """Run *names* until there are *wanted* faulted schedules more."""
        until = len(self.schedules) + wanted
        for name in names:
            self.take(name)
            if len(self.schedules) >= until or len(self.violations) > 20:
                return

    def take(self, name: str) -> None:
        """Run *name*, judge it, and count."""
        result = run(name)
        history = result.history
        self.runs += 1
        self.requests += len(history.asked)
        self.states += reached(history)
        if history.faults:
            self.schedules.add(result.schedule)
        self.violations += [f"{name}: {told}" for told in judge(history)]

    def add(self, other: Campaign) -> None:
        """Take in what another process has found."""
        self.schedules |= other.schedules
        self.states += other.states
        self.runs += other.runs
        self.requests += other.requests
        self.violations += other.violations

    @property
    def missing(self) -> list[str]:
        """The states that are to be reached, and were not."""
        return missing(self.guarantee, self.states)


def names(guarantee: Guarantee, first: int, step: int = 1) -> Iterator[str]:
    """Give the names of runs from *first* on, in the mix of modes."""
    for number in count(first, step):
        yield f"{guarantee}/{MIX[number % len(MIX)]}/{number}"


def chunk(guarantee: Guarantee, number: int, size: int) -> Iterator[str]:
    """Give the names for one chunk of *size* schedules, with some to spare."""
    spare = 2 * size
    return islice(names(guarantee, number * spare), spare)
