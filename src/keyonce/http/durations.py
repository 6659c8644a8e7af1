# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Durations and sizes as people write them: ``7d``, ``64MiB``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from keyonce.core.errors import ConfigurationError

_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SIZES: Final = {
    "": 1,
    "b": 1,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
}
_WRITTEN: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([A-Za-z]*)").fullmatch


def parse_duration(text: object, *, name: str = "duration") -> timedelta:
    """Read a duration with its unit, such as ``500ms``, ``30s``, ``15m``, ``7d``.

    Raises:
        ConfigurationError: no duration, or zero; the message names the mend.
    """
    found = _WRITTEN(text.strip()) if isinstance(text, str) else None
    if _is_zero(text, found):
        message = (
            f"{name} is {text!r}: it must be longer than zero. Write it with its unit, "
            "as in '30s' or '24h', or leave it out to get the default."
        )
        raise ConfigurationError(message)
    if found is None or found[2].lower() not in _UNITS:
        message = (
            f"{name} is {text!r}: write a number with its unit, as in '500ms', '30s', "
            "'15m', '24h' or '7d'."
        )
        raise ConfigurationError(message)
    try:
        span = timedelta(seconds=float(found[1]) * _UNITS[found[2].lower()])
    except OverflowError:
        raise ConfigurationError(f"{name} is {text!r}: that is too long.") from None
    if not span:
        message = f"{name} is {text!r}: the shortest duration is '0.001ms'."
        raise ConfigurationError(message)
    return span


def _is_zero(text: object, found: re.Match[str] | None) -> bool:
    if found is not None:
        return float(found[1]) == 0
    return isinstance(text, int | float) and not isinstance(text, bool) and text == 0


def parse_size(text: object, *, name: str = "size") -> int:
    """Read a number of bytes, such as ``64MiB``, ``2KiB`` or ``300``.

    Raises:
        ConfigurationError: no size; the message names the mend.
    """
    written = str(text) if isinstance(text, int) else text
    if isinstance(text, bool) or not isinstance(written, str):
        written = ""
    found = _WRITTEN(written.strip())
    if found is None or found[2].lower() not in _SIZES:
        message = (
            f"{name} is {text!r}: write a number of bytes with its unit, as in "
            "'64MiB', '2KiB' or '300B'."
        )
        raise ConfigurationError(message)
    return int(float(found[1]) * _SIZES[found[2].lower()])


def duration_text(seconds: float) -> str:
    """Write a span of *seconds* in the largest unit that needs no fraction."""
    whole = round(seconds * 1000)
    for unit in ("d", "h", "m", "s"):
        if whole and whole % (_UNITS[unit] * 1000) == 0:
            return f"{whole // (_UNITS[unit] * 1000)}{unit}"
    return f"{whole}ms"
