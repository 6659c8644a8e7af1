# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Write endpoints, and whether a second run of each would do harm."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from keyonce.core.rollout import Stage
from keyonce.http.terms import mode_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyonce.http.operation import Rule, Rules

WRITES: Final = ("POST", "PATCH", "PUT", "DELETE")
_REST: Final = re.compile(r"\{[^{}/]*:path\}|<path:[^<>/]*>")
_ONE: Final = re.compile(r"\{[^{}]*\}|<[^<>]*>")


class Verdict(StrEnum):
    """What a second run of an endpoint would do.

    - ``guarded``: nothing; every request has to bring a key.
    - ``optional``: nothing for requests with a key; the others run again.
    - ``rollout``: it is guarded for a part of the keys, or only watched so far.
    - ``by-method``: nothing new, if PUT and DELETE are written as HTTP means them.
    - ``unguarded``: the work once more.
    """

    GUARDED = "guarded"
    OPTIONAL = "optional"
    ROLLOUT = "rollout"
    BY_METHOD = "by-method"
    UNGUARDED = "unguarded"

    @property
    def harmful(self) -> bool:
        """Whether a retry can run the work again although it brings a key."""
        return self in {Verdict.UNGUARDED, Verdict.ROLLOUT}


@dataclass(frozen=True, slots=True)
class Guard:
    """Rules, and where they are in force: ``middleware`` or ``config``."""

    rules: Rules
    place: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method on one path template.

    *guards* stand before it, outermost first; *declared* is the key that its
    description asks for: ``required``, ``optional``, or None.
    """

    method: str
    path: str
    name: str = ""
    guards: tuple[Guard, ...] = ()
    declared: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """An endpoint with its verdict and where that comes from."""

    method: str
    path: str
    name: str
    verdict: Verdict
    guarded_by: str | None = None
    rule: str | None = None
    key: str | None = None
    mode: str | None = None


def judge(endpoint: Endpoint, *guards: Guard) -> Judged:
    """Say what a second run of *endpoint* would do behind its guards and *guards*."""
    candidates = [
        _under(endpoint, guard, rule)
        for guard in (*guards, *endpoint.guards)
        if (rule := guard.rules.find(endpoint.method, sample(endpoint.path)))
    ]
    candidates.append(_undeclared(endpoint) or _as_declared(endpoint))
    order = list(Verdict)
    return min(candidates, key=lambda judged: order.index(judged.verdict))


def _under(endpoint: Endpoint, guard: Guard, rule: Rule) -> Judged:
    return Judged(
        endpoint.method,
        endpoint.path,
        endpoint.name,
        verdict=_verdict(rule),
        guarded_by=guard.place,
        rule=rule.match,
        key="required" if rule.policy.required else "optional",
        mode=mode_text(rule.policy.rollout()),
    )


def _verdict(rule: Rule) -> Verdict:
    rollout = rule.policy.rollout()
    if rollout.stage is Stage.OFF:
        return Verdict.UNGUARDED
    if rollout.stage is not Stage.ENFORCE or rollout.partial:
        return Verdict.ROLLOUT
    return Verdict.GUARDED if rule.policy.required else Verdict.OPTIONAL


def _undeclared(endpoint: Endpoint) -> Judged | None:
    if endpoint.declared is not None:
        return None
    by_method = endpoint.method in {"PUT", "DELETE"}
    verdict = Verdict.BY_METHOD if by_method else Verdict.UNGUARDED
    return Judged(endpoint.method, endpoint.path, endpoint.name, verdict)


def _as_declared(endpoint: Endpoint) -> Judged:
    required = endpoint.declared == "required"
    return Judged(
        endpoint.method,
        endpoint.path,
        endpoint.name,
        verdict=Verdict.GUARDED if required else Verdict.OPTIONAL,
        guarded_by="description",
        key=endpoint.declared,
    )


def sample(template: str) -> bytes:
    """Give a path that the template means, to look for its rule."""
    return _ONE.sub("x", _REST.sub("x/x", template)).encode()


def in_order(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Sort by path, then by method, each pair once."""
    unique = {(found.path, WRITES.index(found.method)): found for found in endpoints}
    return [unique[place] for place in sorted(unique)]
