# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which operation a request is, by name, and which rule is for it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import ConfigurationError
from keyonce.core.policy import Policy
from keyonce.http.keep import check_headers
from keyonce.http.pattern import GUARDABLE, Pattern, parse_match
from keyonce.http.rawpath import normal_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LONGEST: Final = 512
ROUTES_KEPT: Final = 1024
ROUTE_KEPT: Final = 256
_CUT: Final = "%#"


def operation_of(method: str, raw_path: bytes) -> str:
    """Name the operation: method and raw path, without the query.

    Printable ASCII. Two operations have one name only if their paths differ in
    nothing but the letter case of percent-escapes; rules and route templates have
    no part in it, so changing them forgets no key. A name longer than 512 ends in
    the SHA-256 of the whole instead, so that every store can index it.
    """
    return _operation_at(method, normal_path(raw_path))


def _operation_at(method: str, path: str) -> str:
    name = f"{method.upper()} {path}"
    return name if len(name) <= LONGEST else _shortened(name)


def _shortened(name: str) -> str:
    # '%#' begins neither an escape nor one of our own marks: no short name has it.
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{name[: LONGEST - 66]}{_CUT}{digest}"


def is_shortened(path: str) -> bool:
    """Whether the *path* in an operation's name is not the whole path."""
    return _CUT in path


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests, by *match*, have which policy.

    See ``keyonce.http.pattern`` for how a match is written; without a method it
    means POST and PATCH. Both others are for exactly-once: *connection* gives a
    context manager, for ASGI an asynchronous one, that gives a fresh connection, on
    which the gateway opens a transaction around the handler; *rebuild* makes an
    answer out of the reference that a handler gave in its place.

    Raises:
        ConfigurationError: a match that cannot be read or names a safe method; a
            header to keep that can never be kept.
    """

    match: str
    policy: Policy = field(default_factory=Policy)
    connection: Callable[[], Any] | None = field(default=None, kw_only=True)
    rebuild: Callable[[str], Any] | None = field(default=None, kw_only=True)
    pattern: Pattern = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the match.

        Raises:
            ConfigurationError: it, or the policy, is something else.
        """
        if not isinstance(self.match, str):
            message = f"match is a text such as 'POST /payments', not {self.match!r}."
            raise ConfigurationError(message)
        if not isinstance(self.policy, Policy):
            message = (
                f"Rule {self.match!r}: its policy is a Policy, such as "
                f"Policy(guarantee='resume'), not {self.policy!r}."
            )
            raise ConfigurationError(message)
        object.__setattr__(self, "pattern", parse_match(self.match))
        check_headers(self.policy)

    @property
    def label(self) -> str:
        """The name of this rule in metrics: there are as many as rules."""
        return self.match


class Rules:
    """Rules in their order: the first that matches wins."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        """Prepare *rules* for a fast search.

        Raises:
            ConfigurationError: a rule that an earlier one leaves no request.
        """
        self._rules = tuple(rules)
        _refuse_unreachable(self._rules)
        self._finders = {method: self._finder(method) for method in GUARDABLE}
        self._known_route = lru_cache(ROUTES_KEPT)(self._route)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def find(self, method: str, raw_path: bytes) -> Rule | None:
        """Give the rule for a request, or None where it passes unguarded."""
        return self._find_at(method, normal_path(raw_path))

    def route(self, method: str, raw_path: bytes) -> tuple[Rule | None, str]:
        """Give the rule for a request, and the name of its operation."""
        if len(method) + len(raw_path) > ROUTE_KEPT:
            return self._route(method, raw_path)
        return self._known_route(method, raw_path)  # most requests go to few paths

    def _route(self, method: str, raw_path: bytes) -> tuple[Rule | None, str]:
        path = normal_path(raw_path)
        return self._find_at(method, path), _operation_at(method, path)

    def _find_at(self, method: str, path: str) -> Rule | None:
        finder = self._finders.get(method) or self._finders.get(method.upper())
        if finder is None:
            return None
        search, rules = finder
        found = search.fullmatch(path)
        if found is None or found.lastindex is None:
            return None
        return rules[found.lastindex - 1]

    def _finder(self, method: str) -> _Finder | None:
        mine = tuple(rule for rule in self._rules if method in rule.pattern.methods)
        if not mine:
            return None
        # One group for each rule; alternatives are tried in order.
        joined = "|".join(f"({rule.pattern.regex()})" for rule in mine)
        return re.compile(joined, re.DOTALL), mine


_Finder = tuple[re.Pattern[str], tuple[Rule, ...]]


def _refuse_unreachable(rules: tuple[Rule, ...]) -> None:
    for index, rule in enumerate(rules):
        for earlier in rules[:index]:
            if earlier.pattern.covers(rule.pattern):
                message = (
                    f"The rule {rule.match!r} can never apply: the first match wins, "
                    f"and {earlier.match!r} stands before it and takes all its "
                    "requests. Put it above, or leave it out."
                )
                raise ConfigurationError(message)
