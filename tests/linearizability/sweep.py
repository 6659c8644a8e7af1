# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The second checker: a sweep over time, just in time, after Lowe.

It goes once through what happened, keeps every state that is possible so far, and
carries a call out only when an answer needs it. It shares no code with the search.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.linearizability.history import UNTOLD, Call, History
from tests.linearizability.table import EMPTY, State, taken

#: A state, and the calls under way that have been carried out.
Possible = tuple[State, frozenset[int]]


def linearizable(history: History) -> bool:
    """Whether every answer could be given at its time."""
    calls = history.calls
    under_way: set[int] = set()
    possible: set[Possible] = {(EMPTY, frozenset())}
    for place, answered in _events(calls):
        if not answered:
            under_way.add(place)
            continue
        possible = {
            (state, done - {place})
            for state, done in _reached(possible, under_way, history)
            if place in done
        }
        under_way.discard(place)
        if not possible:
            return False
    return True


def _events(calls: tuple[Call, ...]) -> list[tuple[int, bool]]:
    """Sort what happened: which call, and whether it was its answer.

    At one instant a call comes before an answer: then they overlap.
    """
    sent = [(call.invoked, False, place) for place, call in enumerate(calls)]
    back = [
        (call.returned, True, place)
        for place, call in enumerate(calls)
        if call.returned is not None
    ]
    return [(place, answered) for _, answered, place in sorted(sent + back)]


def _reached(
    possible: Iterable[Possible], under_way: set[int], history: History
) -> set[Possible]:
    """Carry out calls that are under way, any of them in any order."""
    reached = set(possible)
    fresh = list(reached)
    while fresh:
        state, done = fresh.pop()
        for place in under_way - done:
            call = history.calls[place]
            for after, answer in taken(
                state, call.asked, runs_again=history.runs_again
            ):
                there = (after, done | {place})
                told = call.returned is not None and call.answer != UNTOLD
                if there not in reached and (not told or call.answer == answer):
                    reached.add(there)
                    fresh.append(there)
    return reached
