# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How a handler or an upstream steers this layer by its response headers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import ConfigurationError
from keyonce.http.dialect import STEERING_PREFIX
from keyonce.http.durations import parse_duration

if TYPE_CHECKING:
    from keyonce.http.messages import Headers

OUTCOME: Final = b"keyonce-outcome"
RETENTION: Final = b"keyonce-retention"
REFERENCE: Final = b"keyonce-reference"

_LONG: Final = len(STEERING_PREFIX)
_REFERENCE: Final = re.compile(r"[ -~]{1,255}").fullmatch


class Steered(StrEnum):
    """What the handler says of its own end."""

    STORE = "store"
    RELEASE = "release"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Steering:
    """What the steering headers of one response ask for.

    *warnings* are sentences about headers that were ignored, for the log.
    """

    outcome: Steered | None = None
    retention_for: float | None = None
    reference: str | None = None
    warnings: tuple[str, ...] = ()


UNSTEERED: Final = Steering()


def read_steering(headers: Headers) -> Steering:
    """Read ``Keyonce-Outcome``, ``Keyonce-Retention`` and ``Keyonce-Reference``.

    A value that cannot be read, and one that is there twice, is ignored with a
    warning. They are taken off on the way out by ``keep.without_own``.
    """
    found: dict[bytes, list[str]] = {}
    for name, value in headers:
        if name[:_LONG].lower() == STEERING_PREFIX:
            low = name.lower()
            found.setdefault(low, []).append(value.decode("latin-1").strip(" \t"))
    return _read(found) if found else UNSTEERED


def _read(found: dict[bytes, list[str]]) -> Steering:
    warnings = [
        f"{_shown(name)} steers nothing and was ignored."
        for name in found
        if name not in {OUTCOME, RETENTION, REFERENCE}
    ]
    outcome = _outcome(_single(found, OUTCOME, warnings), warnings)
    retention_for = _retention(_single(found, RETENTION, warnings), warnings)
    reference = _reference(_single(found, REFERENCE, warnings), warnings)
    return Steering(outcome, retention_for, reference, tuple(warnings))


def _shown(name: bytes) -> str:
    return name.decode("latin-1").title()


def _single(
    found: dict[bytes, list[str]], name: bytes, warnings: list[str]
) -> str | None:
    values = found.get(name, [])
    if len(values) > 1:
        warnings.append(f"{_shown(name)} is there twice and was ignored.")
        return None
    return values[0] if values else None


def _outcome(value: str | None, warnings: list[str]) -> Steered | None:
    if value is None:
        return None
    try:
        return Steered(value.lower())
    except ValueError:
        warnings.append(
            f"Keyonce-Outcome {value[:40]!r} was ignored: it is 'store', 'release' or "
            "'unknown'."
        )
        return None


def _retention(value: str | None, warnings: list[str]) -> float | None:
    if value is None:
        return None
    try:
        return parse_duration(value[:40], name="Keyonce-Retention").total_seconds()
    except ConfigurationError as error:
        warnings.append(f"{error} It was ignored.")
        return None


def _reference(value: str | None, warnings: list[str]) -> str | None:
    if value is None or _REFERENCE(value):
        return value
    warnings.append(
        "Keyonce-Reference was ignored: it is 1 to 255 printable ASCII characters."
    )
    return None
