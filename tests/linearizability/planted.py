# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Histories that no order can explain, made out of good ones.

Each kind says why it is certain. A kind gives None where a history does not offer what
it needs. Those that count executions take histories in which nothing was forgotten:
there the count only grows.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from random import Random
from typing import Final

from tests.linearizability.history import (
    COMPLETED,
    IN_PROGRESS,
    UNKNOWN,
    Asked,
    Call,
    History,
    Seen,
)


def two_owners_of_one_execution(history: History, rng: Random) -> History | None:
    """Two owners are told to run, and both that it is the same execution."""
    if _forgotten(history):
        return None
    granted = [call for call in history.calls if _granted(call)]
    if not granted:
        return None
    first = rng.choice(granted)
    second = Call(
        Asked("claim", "owner-x"),
        _end(history) + 1,
        _end(history) + 2,
        _seen(first)._replace(owner="owner-x"),
    )
    return _with(history, second)


def stale_completion(history: History, rng: Random) -> History | None:
    """An owner whose key is another's by now is told that its outcome was stored.

    After the takeover it does not claim again, and no claim of it is under way.
    """
    if _forgotten(history):
        return None
    for old, new in permutations(filter(_granted, history.calls), 2):
        stale, owner = _seen(old).owner, _seen(new).owner
        claims = [
            call
            for call in history.calls
            if call.asked.verb == "claim" and call.asked.owner == stale
        ]
        if (
            stale == owner
            or _seen(old).executions >= _seen(new).executions
            or any((call.returned or _end(history)) >= new.invoked for call in claims)
        ):
            continue
        at = _end(history)
        told = Seen(COMPLETED, stale, _seen(old).executions, "stale")
        late = Call(Asked("complete", stale, "stale"), at + 1, at + 2, told)
        return _with(history, late)
    return None


def token_out_of_nowhere(history: History, rng: Random) -> History | None:
    """A token that never claimed is told that it holds the key."""
    verb = rng.choice(("release", "abandon", "note", "complete", "renew"))
    at = rng.randrange(_end(history) + 1)
    status = COMPLETED if verb == "complete" else IN_PROGRESS
    record = Seen(status, "owner-x", 1, "x" if verb == "complete" else "")
    answer = record if verb in {"complete", "renew"} else True
    return _with(history, Call(Asked(verb, "owner-x", "x"), at, at + 1, answer))


def going_back_in_time(history: History, rng: Random) -> History | None:
    """One look shows a later execution than the next look."""
    if _forgotten(history):
        return None
    looks = [
        (at, call)
        for at, call in enumerate(history.calls)
        if call.asked.verb == "find" and isinstance(call.answer, Seen)
    ]
    for (at, one), (then, two) in permutations(looks, 2):
        before = one.returned is not None and one.returned < two.invoked
        if before and _seen(one).executions < _seen(two).executions:
            calls = list(history.calls)
            calls[at] = one._replace(answer=two.answer)
            calls[then] = two._replace(answer=one.answer)
            return history._replace(calls=tuple(calls))
    return None


def forgotten_completion(history: History, rng: Random) -> History | None:
    """What was acknowledged as completed is seen at work after that."""
    if _forgotten(history):
        return None
    for call in history.calls:
        if call.asked.verb == "complete" and _status(call) == COMPLETED:
            was = _seen(call)._replace(status=IN_PROGRESS, result="", steps="")
            at = _end(history)
            return _with(history, Call(Asked("find"), at + 1, at + 2, was))
    return None


def answer_before_its_call(history: History, rng: Random) -> History | None:
    """An outcome is seen before anybody gave it."""
    for call in history.calls:
        given = call.asked.verb == "complete" and call.answer is not None
        if given and _seen(call).result == call.asked.given:
            at = call.invoked
            early = _seen(call)._replace(steps="")
            # Everything from then on happens later, to make room for the look.
            calls = tuple(_shifted(each, at, 4) for each in history.calls)
            look = Call(Asked("find"), at + 1, at + 2, early)
            return _with(history._replace(calls=calls), look)
    return None


def strange_outcome(history: History, rng: Random) -> History | None:
    """An outcome is replayed that nobody gave."""
    for at, call in enumerate(history.calls):
        if _status(call) == COMPLETED and call.asked.verb != "forget":
            calls = list(history.calls)
            calls[at] = call._replace(answer=_seen(call)._replace(result="strange"))
            return history._replace(calls=tuple(calls))
    return None


def two_outcomes(history: History, rng: Random) -> History | None:
    """Its owner completes it again, and the second outcome takes the first's place."""
    if _forgotten(history):
        return None
    for call in history.calls:
        if call.asked.verb == "complete" and _status(call) == COMPLETED:
            at = _end(history)
            told = _seen(call)._replace(result="second")
            asked = call.asked._replace(given="second")
            return _with(history, Call(asked, at + 1, at + 2, told))
    return None


def doubt_without_cause(history: History, rng: Random) -> History | None:
    """A key is unknown, and what made it so is dropped."""
    if any(call.asked.verb == "lapse" for call in history.calls):
        return None
    if not any(_status(call) == UNKNOWN for call in history.calls):
        return None
    return _without(history, lambda call: call.asked.verb == "abandon")


def owner_without_claim(history: History, rng: Random) -> History | None:
    """An owner is seen whose every claim is dropped."""
    owners = {_seen(call).owner for call in history.calls if _status(call)} - {""}
    if not owners:
        return None
    owner = rng.choice(sorted(owners))
    left = _without(
        history,
        lambda call: call.asked.verb == "claim" and call.asked.owner == owner,
    )
    seen = any(_status(call) and _seen(call).owner == owner for call in left.calls)
    return left if seen else None


def silent_takeover(history: History, rng: Random) -> History | None:
    """After a run that has an outcome another is told to run."""
    if _forgotten(history):
        return None
    for call in history.calls:
        if _status(call) == COMPLETED:
            at = _end(history)
            runs = Seen(IN_PROGRESS, "owner-x", _seen(call).executions + 1, "", "")
            return _with(history, Call(Asked("claim", "owner-x"), at + 1, at + 2, runs))
    return None


KINDS: Final[tuple[Callable[[History, Random], History | None], ...]] = (
    two_owners_of_one_execution,
    stale_completion,
    token_out_of_nowhere,
    going_back_in_time,
    forgotten_completion,
    answer_before_its_call,
    strange_outcome,
    two_outcomes,
    doubt_without_cause,
    owner_without_claim,
    silent_takeover,
)


def _granted(call: Call) -> bool:
    if call.asked.verb != "claim" or _status(call) != IN_PROGRESS:
        return False
    return _seen(call).owner == call.asked.owner


def _status(call: Call) -> str:
    return call.answer.status if isinstance(call.answer, Seen) else ""


def _seen(call: Call) -> Seen:
    assert isinstance(call.answer, Seen)
    return call.answer


def _forgotten(history: History) -> bool:
    return any(call.asked.verb == "forget" for call in history.calls)


def _end(history: History) -> int:
    return max(max(call.invoked, call.returned or 0) for call in history.calls)


def _with(history: History, call: Call) -> History:
    return history._replace(calls=(*history.calls, call))


def _without(history: History, dropped: Callable[[Call], bool]) -> History:
    calls = tuple(call for call in history.calls if not dropped(call))
    return history._replace(calls=calls)


def _shifted(call: Call, at: int, by: int) -> Call:
    """Move what comes from *at* on; what was under way then gets longer."""
    end = call.returned
    return call._replace(
        invoked=call.invoked + by if call.invoked >= at else call.invoked,
        returned=end + by if end is not None and end >= at else end,
    )
