# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be done with a request before its body is read."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from keyonce.core.events import Outcome
from keyonce.core.model import Identity
from keyonce.core.rollout import Stage
from keyonce.http import catalogue
from keyonce.http.dialect import DIALECT
from keyonce.http.header import BadKey, parse_key, weakness
from keyonce.http.scope import MissingScope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyonce.core.rollout import Rollout
    from keyonce.http.dialect import Dialect
    from keyonce.http.messages import RequestHead
    from keyonce.http.operation import Rule, Rules
    from keyonce.http.problem import Problem
    from keyonce.http.scope import ScopeReader


@dataclass(frozen=True, slots=True)
class Bypass:
    """The request runs unguarded.

    *rule* is None where no rule matches and nothing is to be counted. *outcome* is
    None where the rule is switched off. *would* is the refusal that a later stage
    would have had.
    """

    rule: Rule | None = None
    outcome: Outcome | None = None
    would: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """The request is refused; nothing runs."""

    problem: Problem
    outcome: Outcome
    rule: Rule


class Guarded(NamedTuple):
    """The request has a good key.

    *stage* is the one that holds for this key: in ``enforce`` it is claimed, in
    ``validate`` and ``observe`` it runs and is only looked at. *touch_first*: the
    key is outside the share that is enforced, and a record of it, if there is one,
    must be honoured all the same.
    """

    rule: Rule
    identity: Identity
    stage: Stage
    touch_first: bool = False

    @property
    def weak(self) -> str | None:
        """Why the key looks badly made, if it does; reported, never refused."""
        return weakness(self.identity.key)


Admission = Bypass | Refuse | Guarded

UNMATCHED: Final = Bypass()

_BEFORE: Final[Mapping[Stage, Stage]] = MappingProxyType(
    {
        Stage.ENFORCE: Stage.VALIDATE,
        Stage.VALIDATE: Stage.OBSERVE,
        Stage.OBSERVE: Stage.OFF,
        Stage.OFF: Stage.OFF,
    }
)
_REFUSING: Final = frozenset({Stage.VALIDATE, Stage.ENFORCE})


def admit(
    head: RequestHead,
    rules: Rules,
    scope: ScopeReader,
    dialect: Dialect = DIALECT,
) -> Admission:
    """Find the rule for *head*, then its key, then its scope.

    A key on a request that no rule matches is ignored, on GET, HEAD, OPTIONS and
    TRACE always. The scope is asked only for a request with a good key.
    """
    rule, operation = rules.route(head.method, head.raw_path)
    if rule is None:
        return UNMATCHED
    policy = rule.policy
    rollout = policy.rollout()
    if rollout.stage is Stage.OFF:
        return Bypass(rule)
    values = head.values(dialect.key_name)
    if not values:
        return _unkeyed(rule, rollout, dialect)
    key = parse_key(values, policy.key_format)
    if isinstance(key, BadKey):
        problem = catalogue.invalid_key(key.detail, header=dialect.key_header)
        return _refused(problem, Outcome.INVALID_KEY, rule, rollout)
    told = scope(head)
    if isinstance(told, MissingScope):
        problem = catalogue.missing_scope(told.detail, header=dialect.key_header)
        return _refused(problem, Outcome.MISSING_SCOPE, rule, rollout)
    identity = Identity(told, operation, key)
    if not rollout.partial:
        return Guarded(rule, identity, rollout.stage)
    return _guarded(rule, identity, rollout)


def _unkeyed(rule: Rule, rollout: Rollout, dialect: Dialect) -> Admission:
    if not rule.policy.required:
        return Bypass(rule, Outcome.UNKEYED)
    if _blind_stage(rollout) not in _REFUSING:
        return Bypass(rule, Outcome.UNKEYED, would=Outcome.MISSING_KEY)
    problem = catalogue.missing_key(header=dialect.key_header)
    return Refuse(problem, Outcome.MISSING_KEY, rule)


def _refused(
    problem: Problem, outcome: Outcome, rule: Rule, rollout: Rollout
) -> Admission:
    match _blind_stage(rollout):
        case Stage.OFF:
            return Bypass(rule)
        case Stage.OBSERVE:
            return Bypass(rule, Outcome.OBSERVED, would=outcome)
        case _:
            return Refuse(problem, outcome, rule)


def _blind_stage(rollout: Rollout) -> Stage:
    """The stage for a request without identity: it is in no share but the whole."""
    return _BEFORE[rollout.stage] if rollout.partial else rollout.stage


def _guarded(rule: Rule, identity: Identity, rollout: Rollout) -> Admission:
    if rollout.covers(identity):
        return Guarded(rule, identity, rollout.stage)
    stage = _BEFORE[rollout.stage]
    if stage is Stage.OFF:
        return Bypass(rule)
    touch_first = rollout.stage is Stage.ENFORCE
    return Guarded(rule, identity, stage, touch_first=touch_first)
