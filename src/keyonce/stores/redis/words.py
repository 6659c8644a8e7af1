# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a procedure asks of a Redis server."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, TypeVar

R = TypeVar("R")


class ScriptCall(NamedTuple):
    """Run the script of that name. Answer: what it returns."""

    script: str
    keys: tuple[bytes, ...]
    args: tuple[bytes, ...]


class Together(NamedTuple):
    """Run scripts in one trip. Answer: what each returns, or its RecordUnreadable."""

    calls: tuple[ScriptCall, ...]


class Position(NamedTuple):
    """Where a walk over the keys stands: which primary, and its cursor."""

    node: int = 0
    cursor: int = 0


class Walk(NamedTuple):
    """Look for keys like *pattern*. Answer: some keys, and the next position or None.

    A key may come twice; what is written during the walk may be missed.
    """

    pattern: bytes
    position: Position


class Outlines(NamedTuple):
    """Read records without their outcomes, each at its own instant.

    Answer: for each key the fields `h d m r w` and the length of `o`.
    """

    keys: tuple[bytes, ...]


class Rows(NamedTuple):
    """Read a whole list. Answer: its elements."""

    key: bytes


class Sizes(NamedTuple):
    """Ask what keys occupy. Answer: bytes for each, or None where nobody says."""

    keys: tuple[bytes, ...]


class Now(NamedTuple):
    """Ask for the time. Answer: seconds since the epoch."""


Word = ScriptCall | Together | Walk | Outlines | Rows | Sizes | Now
Procedure = Generator[Word, Any, R]
