# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How long to measure, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """*quick* measures the same things on less; *folder* is on a real disk."""

    folder: Path
    quick: bool = False

    def either(self, quick: T, whole: T) -> T:
        """Choose by how long there is."""
        return quick if self.quick else whole
