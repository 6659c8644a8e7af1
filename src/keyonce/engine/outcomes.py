# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What an author gives as an outcome, as it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.core.ending import Keep
from keyonce.core.model import StoredResult
from keyonce.engine.results import JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyonce.core.policy import Policy

    Keeps = Callable[[Any, int | None, Iterable[tuple[str, str]]], Keep]

_OK: Final = 200
_TYPE: Final = b"content-type"


def outcome_of(
    value: Any, status: int | None, headers: Iterable[tuple[str, str]]
) -> StoredResult:
    """Give *value* as an answer: bytes and text as they are, all else as JSON.

    Raises:
        ResultNotEncodable: it is no JSON.
    """
    if isinstance(value, StoredResult):
        return value
    named = tuple(
        (name.lower().encode("latin-1"), text.encode("latin-1"))
        for name, text in headers
    )
    body, kind = _encoded(value)
    if kind and not any(name == _TYPE for name, _ in named):
        named = (*named, (_TYPE, kind))
    return StoredResult(_OK if status is None else status, named, body, size=len(body))


def _encoded(value: Any) -> tuple[bytes, bytes]:
    if isinstance(value, bytes | bytearray):
        return bytes(value), b""
    if isinstance(value, str):
        return value.encode(), b"text/plain; charset=utf-8"
    return JSON.encode(value), b"application/json"


def keep_of(policy: Policy) -> Keeps:
    """Keep what is not larger than *policy* says."""

    def keep(
        value: Any, status: int | None, headers: Iterable[tuple[str, str]]
    ) -> Keep:
        result = outcome_of(value, status, headers)
        if len(result.body) > policy.max_response:
            result = StoredResult(
                result.status, result.headers, kept=False, size=len(result.body)
            )
        return Keep(result)

    return keep
