# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The ``[[rule]]`` tables: from TOML to rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.policy import FOREVER, FingerprintRecipe, ForwardKey, Policy
from keyonce.core.rollout import Rollout, Stage
from keyonce.http.durations import parse_duration, parse_size
from keyonce.http.operation import Rule, Rules
from keyonce.proxy.reading import flag, text, texts, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from keyonce.proxy.reading import Problems, Table

BY_DEFAULT: Final = "POST,PATCH /**"


def read_rules(top: Table, problems: Problems) -> tuple[Rule, ...]:
    """Read every rule of the table *top*; without any, one for all writes."""
    tables = top.tables("rule")
    if not tables:
        return (Rule(BY_DEFAULT),)
    rules = tuple(rule for table in tables if (rule := _rule(table)))
    try:
        Rules(rules)
    except ConfigurationError as error:
        problems.add(f"{top.place('rule')}: {error}")
    return rules


def _rule(table: Table) -> Rule | None:
    match = _match(table)
    mode = table.take("mode", _mode, None)
    fingerprint = _fingerprint(table.table("fingerprint"))
    given = {
        name: value
        for name, read in _READERS.items()
        if (value := table.take(name, read, None)) is not None
    }
    table.refuse_others()
    if mode:
        given["mode"] = mode
    if match is None:
        return None
    try:
        rule = Rule(match, Policy(**given, fingerprint=fingerprint))
        _check_for_sidecar(rule.policy)
    except ConfigurationError as error:
        table.problem("match", f"= {match!r}: {error}")
        return None
    return rule


def _match(table: Table) -> str | None:
    match = table.take("match", text, None)
    methods = table.take("methods", texts, None)
    if match is None:
        if "match" not in table:
            table.problem("match", "is missing: write match = 'POST /payments'.")
        return None
    if methods is None:
        return match
    if not match.startswith("/"):
        table.problem("methods", "repeats the methods of match: keep one of the two.")
        return None
    return f"{','.join(methods)} {match}"


def _mode(value: object, *, name: str) -> Rollout:
    if isinstance(value, dict) and len(value) == 1:
        ((stage, share),) = value.items()
        return Rollout(_stage(stage, name=name), _share(share, name=f"{name}.{stage}"))
    return Rollout(_stage(value, name=name))


def _stage(value: object, *, name: str) -> Stage:
    try:
        return Stage(value)  # type: ignore[arg-type]  # what is no text is refused
    except ValueError:
        message = (
            f"{name} is {value!r}: it is 'off', 'observe', 'validate' or 'enforce', or "
            'a share of one, as in { enforce = "25%" }.'
        )
        raise ConfigurationError(message) from None


def _share(value: object, *, name: str) -> float:
    written = value.strip() if isinstance(value, str) else ""
    number = written.removesuffix("%").strip()
    if not written.endswith("%") or not number.replace(".", "", 1).isdecimal():
        message = f'{name} is {value!r}: write a percentage, as in "25%".'
        raise ConfigurationError(message)
    return float(number)


def _retention(value: object, *, name: str) -> timedelta | str:
    return FOREVER if value == FOREVER else parse_duration(value, name=name)


def _number(value: object, *, name: str) -> int:
    return whole(value, name=name)


def _fingerprint(table: Table | None) -> FingerprintRecipe:
    if table is None:
        return FingerprintRecipe()
    exclude = table.take("exclude", texts, ())
    headers = table.take("headers", texts, ())
    table.refuse_others()
    try:
        return FingerprintRecipe(exclude, tuple(name.lower() for name in headers))
    except ConfigurationError as error:
        table.problem("exclude", f"cannot be used: {error}")
        return FingerprintRecipe()


_READERS: Final[dict[str, Callable[..., Any]]] = {
    "guarantee": text,
    "required": flag,
    "retention": _retention,
    "lease": parse_duration,
    "work_limit": parse_duration,
    "in_flight": text,
    "patience": parse_duration,
    "max_executions": _number,
    "on_store_down": text,
    "after_expiry": text,
    "late_for": parse_duration,
    "key_format": text,
    "mismatch_status": _number,
    "keep_headers": texts,
    "drop_headers": texts,
    "max_request": parse_size,
    "max_response": parse_size,
    "forward_key": text,
}


def _check_for_sidecar(policy: Policy) -> None:
    if policy.guarantee is Guarantee.EXACTLY_ONCE:
        message = (
            "exactly-once needs effect and record in one database transaction, and the "
            "upstream's effect is out of a sidecar's reach. Declare 'at-most-once' "
            "(never run again after an unclear end) or, if the upstream deduplicates "
            "by the key, 'resume'."
        )
        raise ConfigurationError(message)
    stripped = policy.forward_key is ForwardKey.STRIP
    if policy.guarantee is Guarantee.RESUME and stripped:
        message = (
            "resume runs the work again and rests on an upstream that deduplicates by "
            "the key, but forward_key = 'strip' keeps the key from it. Use 'forward' "
            "or 'derive'."
        )
        raise ConfigurationError(message)
