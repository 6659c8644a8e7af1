# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Many histories before both checkers, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from tests.linearizability import search, sweep
from tests.linearizability.generated import generated
from tests.linearizability.history import History
from tests.linearizability.planted import KINDS
from tests.linearizability.shaken import shaken


@dataclass
class Figures:
    """How many histories both accept, both reject; and those that they differ on."""

    accepted: int = 0
    rejected: int = 0
    differing: list[History] = field(default_factory=list)
    wrong: list[History] = field(default_factory=list)
    overlapping: int = 0
    open: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def histories(self) -> int:
        return self.accepted + self.rejected + len(self.differing)

    def judge(self, history: History, *, expected: bool | None = None) -> None:
        """Ask both checkers; without an *expected* verdict they only have to agree."""
        one, other = search.linearizable(history), sweep.linearizable(history)
        self.overlapping += overlaps(history)
        self.open += any(call.returned is None for call in history.calls)
        if one != other:
            self.differing.append(history)
            return
        self.accepted += one
        self.rejected += not one
        if expected not in (None, one):
            self.wrong.append(history)


def agreement(count: int, seed: int = 0) -> Figures:
    """Judge *count* histories: every second one is good, something changed in others."""
    figures = Figures()
    for number in range(count):
        rng = Random(f"agreement {seed} {number}")
        history = generated(rng)
        if number % 2:
            figures.judge(shaken(history, rng))
        else:
            figures.judge(history, expected=True)
    return figures


def bad_ones(count: int, seed: int = 0) -> Figures:
    """Judge *count* planted histories, as many of each kind as of any other."""
    figures = Figures()
    for kind, history in _planted(count, seed):
        figures.kinds[kind] += 1
        figures.judge(history, expected=False)
    return figures


def _planted(count: int, seed: int) -> Iterator[tuple[str, History]]:
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        rng = Random(f"planted {seed} {number}")
        history = None
        while history is None:
            history = kind(generated(rng), rng)
        yield kind.__name__, history


def recorded(histories: Iterable[History]) -> Figures:
    """Judge histories of a real store: each of them has to hold."""
    figures = Figures()
    for history in histories:
        figures.judge(history, expected=True)
    return figures


def overlaps(history: History) -> bool:
    """Whether two calls were under way at one time."""
    latest = None
    for call in sorted(history.calls, key=lambda call: call.invoked):
        if latest is not None and call.invoked <= latest:
            return True
        if call.returned is not None:
            latest = max(latest or call.returned, call.returned)
    return False
