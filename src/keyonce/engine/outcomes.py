# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What an author gives as an outcome, as it is stored."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.ending import Keep
from keyonce.core.errors import ConfigurationError, ResultNotEncodable
from keyonce.core.model import StoredResult
from keyonce.engine.results import JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyonce.core.policy import Policy

    Headers = tuple[tuple[bytes, bytes], ...]

    Keeps = Callable[[Any, int | None, Iterable[tuple[str, str]]], Keep]


class Unsaid(Enum):
    """What stands in the place of a value that an author did not give."""

    NOTHING = auto()
    REBUILT = auto()  # it is built from the reference, each time anew


BY_REFERENCE: Final = (b"keyonce-by-reference", b"1")
_OK: Final = 200
_TYPE: Final = b"content-type"


def outcome_of(
    value: Any, status: int | None, headers: Iterable[tuple[str, str]]
) -> StoredResult:
    """Give *value* as an answer: bytes and text as they are, all else as JSON.

    Raises:
        ResultNotEncodable: it is no JSON, or a header is no text of HTTP.
    """
    if isinstance(value, StoredResult):
        return value
    try:
        named = tuple(
            (name.lower().encode("latin-1"), text.encode("latin-1"))
            for name, text in headers
        )
    except UnicodeEncodeError as error:
        raise ResultNotEncodable(
            "A header of an outcome has characters that HTTP cannot carry: "
            f"{error.reason}."
        ) from error
    if value is Unsaid.REBUILT:
        return by_reference(_OK if status is None else status, named)
    body, kind = _encoded(value)
    if kind and not any(name == _TYPE for name, _ in named):
        named = (*named, (_TYPE, kind))
    return StoredResult(_OK if status is None else status, named, body, size=len(body))


def by_reference(status: int, headers: Headers = ()) -> StoredResult:
    """Give an outcome without a body, which is built from its reference."""
    return StoredResult(status, (*headers, BY_REFERENCE), kept=False)


def is_by_reference(result: StoredResult | None) -> bool:
    """Whether *result* has to be built from its reference."""
    return result is not None and BY_REFERENCE in result.headers


def rebuilt(result: StoredResult, value: Any) -> StoredResult:
    """Give *result* with what an author has built in the place of its body.

    Its status and its headers stay, unless *value* is a whole StoredResult.

    Raises:
        ResultNotEncodable: *value* is no JSON.
    """
    if isinstance(value, StoredResult):
        return value
    headers = tuple(header for header in result.headers if header != BY_REFERENCE)
    named = [(name.decode("latin-1"), text.decode("latin-1")) for name, text in headers]
    return replace(outcome_of(value, result.status, named), kept=True)


def without_rebuild(where: str) -> ConfigurationError:
    """Say that an outcome by reference needs somebody to build it."""
    return ConfigurationError(
        f"{where}: work.complete(reference=...) keeps a reference alone, and nobody "
        "says how the answer is built from it. Give rebuild=..., or complete with the "
        "answer itself."
    )


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
        if value is Unsaid.REBUILT:
            raise without_rebuild("This work")
        result = outcome_of(value, status, headers)
        if len(result.body) > policy.max_response:
            result = StoredResult(
                result.status, result.headers, kept=False, size=len(result.body)
            )
        return Keep(result)

    return keep
