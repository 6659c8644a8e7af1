# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The published policy as a fragment of OpenAPI 3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.policy import InFlightAnswer, KeyFormat
from keyonce.http.dialect import DIALECT
from keyonce.http.pattern import ONE, REST
from keyonce.http.terms import in_flight_text, key_text, terms_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyonce.http.dialect import Dialect
    from keyonce.http.operation import Rule

_NAME: Final = re.compile(r"\{([^{}/]+)\}")
_PROBLEM: Final = {"$ref": "#/components/schemas/IdempotencyProblem"}
_RETRY_AFTER: Final = {
    "description": "Seconds to wait before the retry.",
    "schema": {"type": "integer", "minimum": 1},
}


def openapi(rules: Iterable[Rule], *, dialect: Dialect = DIALECT) -> dict[str, Any]:
    """Give ``paths``, ``components`` and all rules as ``x-idempotency``.

    A rule with ``**`` has no path of its own in OpenAPI: it is only in the list.
    Where two rules mean one path and method, the first stands, as it does when they
    are applied.
    """
    listed = list(rules)
    paths: dict[str, dict[str, Any]] = {}
    for rule in listed:
        if REST in rule.pattern.segments:
            continue
        path = _template(rule)
        item = paths.setdefault(path, {})
        for method in rule.pattern.methods:
            item.setdefault(method.lower(), operation_fragment(rule, dialect=dialect))
        if _NAME.search(path):
            item["parameters"] = [_path_parameter(name) for name in _NAME.findall(path)]
    return {
        "paths": paths,
        "components": {"schemas": {"IdempotencyProblem": problem_schema()}},
        "x-idempotency": [terms_of(rule) for rule in listed],
    }


def operation_fragment(rule: Rule, *, dialect: Dialect = DIALECT) -> dict[str, Any]:
    """Give what *rule* adds to an operation: parameter, responses, x-idempotency."""
    return {
        "parameters": [key_parameter(rule, dialect=dialect)],
        "responses": _responses(rule),
        "x-idempotency": terms_of(rule),
    }


def key_parameter(rule: Rule, *, dialect: Dialect = DIALECT) -> dict[str, Any]:
    """Give the header parameter of the key."""
    schema: dict[str, Any] = {"type": "string", "minLength": 1}
    if rule.policy.key_format is KeyFormat.UUID:
        schema["description"] = "A UUID."
    return {
        "name": dialect.key_header,
        "in": "header",
        "required": rule.policy.required,
        "description": f"Idempotency key: {key_text(rule.policy)}.",
        "schema": schema,
    }


def problem_schema() -> dict[str, Any]:
    """Give the schema of a problem."""
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "retryable"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string"},
            "retryable": {"type": "boolean"},
            "fields": {"type": "array", "items": {"type": "string"}},
            "resolved_by": {"type": "string", "enum": ["service", "operator"]},
            "reference": {"type": "string"},
        },
    }


def _responses(rule: Rule) -> dict[str, Any]:
    policy = rule.policy
    meant: dict[int, list[str]] = {
        400: ["The key is missing or invalid, or it cannot be told whose it is."],
        409: [f"The first request is at work ({in_flight_text(policy)})."],
    }
    meant[409] += ["Its outcome is unknown.", "Its answer was too large to keep."]
    meant.setdefault(policy.mismatch_status, []).append(
        "The key is already used for another request."
    )
    meant[413] = ["The request is too large."]
    meant[503] = ["The idempotency store is unavailable."]
    if policy.terms.late_for:
        meant[410] = ["The key has expired."]
    if policy.in_flight is InFlightAnswer.ACCEPT:
        meant[202] = ["The first request is at work; Location tells how it stands."]
    return {str(status): _response(status, said) for status, said in meant.items()}


def _response(status: int, said: list[str]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": " ".join(said),
        "content": {"application/problem+json": {"schema": _PROBLEM}},
    }
    if status in {202, 409, 503}:
        answer["headers"] = {"Retry-After": _RETRY_AFTER}
    return answer


def _template(rule: Rule) -> str:
    parts = rule.pattern.path[1:].split("/")
    named = (f"{{segment{i}}}" if p == ONE else p for i, p in enumerate(parts, 1))
    return "/" + "/".join(named)


def _path_parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
    }
