# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Histories that something was changed in: whether they still hold, nobody says.

On these two checkers can differ, as they cannot on histories that are all good.
"""

from __future__ import annotations

from random import Random

from tests.linearizability.history import Call, History, Seen


def shaken(history: History, rng: Random) -> History:
    """Change one to three things of *history*, by chance."""
    calls = list(history.calls)
    for _ in range(rng.randint(1, 3)):
        if len(calls) > 2:
            rng.choice((_drop, _swap, _hurry, _delay, _alter))(calls, rng)
    return History(history.runs_again, tuple(calls))


def _answered(calls: list[Call], rng: Random) -> int:
    return rng.choice(
        [at for at, call in enumerate(calls) if call.returned is not None]
    )


def _drop(calls: list[Call], rng: Random) -> None:
    """Leave one call out, or lose its answer."""
    at = _answered(calls, rng)
    if rng.random() < 0.5 and sum(call.returned is not None for call in calls) > 2:
        calls[at] = calls[at]._replace(returned=None, answer=None)
    elif calls[at].asked.verb != "lapse":
        del calls[at]


def _swap(calls: list[Call], rng: Random) -> None:
    """Exchange the answers of two calls of one verb."""
    at = _answered(calls, rng)
    alike = [
        other
        for other, call in enumerate(calls)
        if call.asked.verb == calls[at].asked.verb and call.returned is not None
    ]
    other = rng.choice(alike)
    one, two = calls[at], calls[other]
    calls[at] = one._replace(answer=two.answer)
    calls[other] = two._replace(answer=one.answer)


def _hurry(calls: list[Call], rng: Random) -> None:
    """Let an answer come at once, before what others did meanwhile."""
    at = _answered(calls, rng)
    calls[at] = calls[at]._replace(returned=calls[at].invoked)


def _delay(calls: list[Call], rng: Random) -> None:
    """Let a call be sent as late as its answer came."""
    at = _answered(calls, rng)
    calls[at] = calls[at]._replace(invoked=calls[at].returned or 0)


def _alter(calls: list[Call], rng: Random) -> None:
    """Let an answer say something else."""
    at = _answered(calls, rng)
    answer = calls[at].answer
    if isinstance(answer, Seen):
        one_more = answer._replace(executions=answer.executions + 1)
        other = answer._replace(owner=f"owner-{rng.randrange(4)}")
        answer = rng.choice((one_more, other, None))
    elif isinstance(answer, bool):
        answer = not answer
    calls[at] = calls[at]._replace(answer=answer)
