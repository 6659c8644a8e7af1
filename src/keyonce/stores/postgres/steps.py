# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a procedure may ask for, beside a named query."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

from keyonce.stores.statement import Row, Statement

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Script:
    """Ask for these statements, without values. Answer: no rows."""

    sql: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Ask for a moment, longer each time. Answer: no rows."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Ask for this now or never. Answer: its rows, or none when it had to wait."""

    statement: Statement


@dataclass(frozen=True, slots=True)
class Beside:
    """Ask for this outside of the caller's transaction. Answer: its rows."""

    statement: Statement


Step = Statement | Script | Pause | Prompt | Beside
Steps = Generator[Step, list[Row], R]


def alone(step: Statement) -> Steps[list[Row]]:
    """Ask for *step* and no more."""
    return (yield step)
