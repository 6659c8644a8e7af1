# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The first checker: a search for an order, after Wing and Gong, as Lowe made it fast.

It goes down one order after the other, and never twice into the same place: the same
calls behind it and the same row.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.linearizability.history import UNTOLD, Call, History
from tests.linearizability.record import NONE, Row, applied


def linearizable(history: History) -> bool:
    """Whether the calls could have been carried out one after the other, each in time."""
    calls = history.calls
    answered = sum(
        1 << place for place, call in enumerate(calls) if call.returned is not None
    )
    been = {(0, NONE)}
    ahead: list[tuple[int, Row]] = [(0, NONE)]
    while ahead:
        behind, row = ahead.pop()
        if behind & answered == answered:
            return True
        for place in _next(calls, behind):
            for after in _rows(row, calls[place], runs_again=history.runs_again):
                there = (behind | 1 << place, after)
                if there not in been:
                    been.add(there)
                    ahead.append(there)
    return False


def _rows(row: Row, call: Call, *, runs_again: bool) -> Iterator[Row]:
    """Give the rows after *call* that its answer allows."""
    for witnessed in {call.asked.witnessed, False}:
        asked = call.asked._replace(witnessed=witnessed)
        after, answer = applied(row, asked, runs_again=runs_again)
        if call.returned is None or call.answer in (answer, UNTOLD):
            yield after


def _next(calls: tuple[Call, ...], behind: int) -> Iterator[int]:
    """Say which calls may come next: those sent before any that waits was answered."""
    left = [place for place in range(len(calls)) if not behind >> place & 1]
    ends = [end for place in left if (end := calls[place].returned) is not None]
    soonest = min(ends)
    return (place for place in left if calls[place].invoked <= soonest)
