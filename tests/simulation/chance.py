# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Every choice of a simulated run, drawn from its seed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Chance(Random):
    """The one source of all that a run could have done otherwise."""

    def below(self, count: int) -> int:
        """One of the numbers from 0 to below *count*."""
        return int(self.random() * count)

    def maybe(self, share: float) -> bool:
        return self.random() < share

    def among(self, things: Sequence[T]) -> T:
        return things[int(self.random() * len(things))]

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.random()
