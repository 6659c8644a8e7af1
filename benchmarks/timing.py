# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Times of small things on a machine that others use too.

What is compared takes turns in short batches, and of each the fastest batch counts:
whatever else runs can only make a batch slower.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Batch = Callable[[int], Awaitable[int]]


async def fastest(batches: Mapping[str, Batch], rounds: int) -> dict[str, float]:
    """Give the microseconds of one step of each batch.

    A batch is called with the number of its round, does its steps and says how many.
    """
    best = dict.fromkeys(batches, float("inf"))
    for turn in range(rounds):
        for name, batch in batches.items():
            gc.collect(0)
            began = time.perf_counter()
            steps = await batch(turn)
            took = time.perf_counter() - began
            best[name] = min(best[name], took / steps * 1e6)
    return best


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value that *share* of the *values* do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """Give the value in the middle."""
    return percentile(values, 0.5)
