# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One record as a table of rules: the second checker's model.

It shares no code with the first. A rule says for which command it is, in which status
and by whom, what it changes, and what is answered. The first that fits is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tests.linearizability.history import Answer, Asked, Seen

# A state is: status, owner, executions, result, steps, note, lease.
State = tuple[str, str, int, str, str, int, str]
FIELDS: Final = ("status", "owner", "executions", "result", "steps", "note", "lease")
EMPTY: Final[State] = ("", "", 0, "", "", 0, "")


class Rule(NamedTuple):
    """*by*: the owner, somebody else, or anyone. A *change* names a new value."""

    status: str
    by: str
    answer: str
    change: Mapping[str, Any] = MappingProxyType({})
    needs: str = ""


MAY: Final = ("takeover", "end")
ANYONE, OWNER, OTHER = "anyone", "owner", "other"
RUN: Final = {
    "status": "in_progress",
    "owner": "CALLER",
    "executions": "ONE MORE",
    "note": 0,
    "lease": "runs",
}
DONE: Final = {"status": "completed", "result": "GIVEN", "steps": ""}

RULES: Final[dict[str, tuple[Rule, ...]]] = {
    "claim": (
        Rule("absent released", ANYONE, "record and steps", RUN),
        Rule("in_progress", OWNER, "record and steps"),
        Rule("in_progress", OTHER, "record and steps", RUN, "takeover"),
        Rule("in_progress", OTHER, "record", {"status": "unknown"}, "end"),
        Rule("in_progress completed unknown", ANYONE, "record"),
    ),
    "complete": (
        Rule("absent", ANYONE, "nothing"),
        Rule("in_progress unknown", OWNER, "record", DONE),
        Rule("in_progress unknown completed released", ANYONE, "record"),
    ),
    "renew": (
        Rule("in_progress", OWNER, "record", {"lease": "runs"}),
        Rule("unknown", OWNER, "record"),
        Rule("absent in_progress unknown completed released", ANYONE, "nothing"),
    ),
    "note": (
        Rule("in_progress unknown", OWNER, "yes", needs="an older number"),
        Rule("in_progress unknown", OWNER, "yes", {"steps": "GIVEN", "note": "NUMBER"}),
        Rule("absent in_progress unknown completed released", ANYONE, "no"),
    ),
    "release": (
        Rule("in_progress", OWNER, "yes", {"status": "released"}),
        Rule("released", OWNER, "yes"),
        Rule("absent in_progress unknown completed released", ANYONE, "no"),
    ),
    "abandon": (
        Rule("in_progress", OWNER, "yes", {"status": "unknown"}),
        Rule("unknown", OWNER, "yes"),
        Rule("absent in_progress unknown completed released", ANYONE, "no"),
    ),
    "find": (
        Rule("absent", ANYONE, "nothing"),
        Rule("in_progress unknown completed released", ANYONE, "record and steps"),
    ),
    "resolve": (
        Rule("unknown", ANYONE, "record", {**DONE, "owner": ""}),
        Rule("in_progress", ANYONE, "record", {**DONE, "owner": ""}, "a lapsed lease"),
        Rule("absent in_progress completed released", ANYONE, "refused"),
    ),
    "free": (
        Rule("unknown", ANYONE, "record", {"status": "released", "owner": ""}),
        Rule(
            "in_progress",
            ANYONE,
            "record",
            {"status": "released", "owner": ""},
            "a lapsed lease",
        ),
        Rule("absent in_progress completed released", ANYONE, "refused"),
    ),
    "forget": (
        Rule("completed released", ANYONE, "what it was", {"status": ""}),
        Rule("absent in_progress unknown", ANYONE, "refused"),
    ),
    "lapse": (
        Rule("in_progress", ANYONE, "nothing", {"lease": "lapsed"}),
        Rule("absent unknown completed released", ANYONE, "nothing"),
    ),
}


@lru_cache(maxsize=100_000)
def taken(
    state: State, asked: Asked, *, runs_again: bool
) -> tuple[tuple[State, Answer], ...]:
    """Take the rules that fit: for each the state after it, and its answer.

    Those that a store may take or leave come before the one that has to be taken.
    """
    at = dict(zip(FIELDS, state, strict=True))
    fitting = []
    for rule in RULES[asked.verb]:
        if _fits(rule, at, asked, runs_again=runs_again):
            new = {name: _new(at, asked, to) for name, to in rule.change.items()}
            after = at | new
            fitting.append((_frozen(after), _told(rule.answer, at, after)))
            if rule.needs not in MAY:
                return tuple(fitting)
    raise AssertionError((state, asked))


def _fits(rule: Rule, at: dict[str, Any], asked: Asked, *, runs_again: bool) -> bool:
    if (at["status"] or "absent") not in rule.status.split():
        return False
    if rule.by != ANYONE and (rule.by == OWNER) != (at["owner"] == asked.owner):
        return False
    over = at["lease"] == "lapsed"
    needed = {
        "": True,
        "takeover": over and asked.witnessed and runs_again,
        "end": over and asked.witnessed and not runs_again,
        "an older number": asked.number < at["note"],
        "a lapsed lease": over,
    }
    return bool(needed[rule.needs])


def _new(at: dict[str, Any], asked: Asked, to: Any) -> Any:
    return (
        {
            "CALLER": asked.owner,
            "GIVEN": asked.given,
            "NUMBER": asked.number,
            "ONE MORE": at["executions"] + 1,
        }.get(to, to)
        if to
        else to
    )


def _frozen(after: dict[str, Any]) -> State:
    if not after["status"]:
        return EMPTY
    (status, owner, executions, result, steps, note, lease) = after.values()
    if status != "in_progress":
        lease = ""
    return status, owner, executions, result, steps, note, lease


def _told(answer: str, before: dict[str, Any], after: dict[str, Any]) -> Answer:
    told: dict[str, Answer] = {"nothing": None, "yes": True, "no": False}
    if answer in told:
        return told[answer]
    if answer == "refused":
        return "refused"
    shown = before | {"result": ""} if answer == "what it was" else after
    steps = shown["steps"] if answer == "record and steps" else None
    return Seen(
        shown["status"], shown["owner"], shown["executions"], shown["result"], steps
    )
