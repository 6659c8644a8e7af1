# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Counters and histograms that show the key of a recent event beside them.

A scraper keeps one exemplar per series and scrape, so one per series and second
is plenty; marking each event would cost four times the counting itself.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from keyonce.telemetry.printable import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prometheus_client import Counter, Histogram

    from keyonce.core.model import Identity

LABEL: Final = "idempotency_key"
REST_FOR: Final = 1.0

_ROOM: Final = 128 - len(LABEL)  # OpenMetrics 1.0 bounds the whole set, in runes


class Mark:
    """The key of one event, written down only when somebody asks for it."""

    __slots__ = ("_identity", "_write", "at")

    def __init__(
        self, identity: Identity, write: Callable[[str], str], at: float
    ) -> None:
        """Mark an event of *identity* that happened *at*."""
        self._identity = identity
        self._write = write
        self.at = at

    def labels(self) -> dict[str, str]:
        """Give the exemplar: the key, or its digest where it is too long."""
        key = self._identity.key
        written = self._write(key)
        return {LABEL: written if len(written) <= _ROOM else digest(key)}


class MarkedCounter:
    """A counter, bound to its labels, with an exemplar."""

    __slots__ = ("_counter", "_next_at")

    def __init__(self, counter: Counter) -> None:
        """Count with *counter*."""
        self._counter = counter
        self._next_at = float("-inf")

    def inc(self, mark: Mark | None) -> None:
        """Count one."""
        if mark is None or mark.at < self._next_at:
            self._counter.inc()
            return
        self._next_at = mark.at + REST_FOR
        self._counter.inc(1, mark.labels())


class MarkedHistogram:
    """A histogram, bound to its labels, with an exemplar in each bucket."""

    __slots__ = ("_bounds", "_histogram", "_next_at")

    def __init__(self, histogram: Histogram, bounds: Sequence[float]) -> None:
        """Observe with *histogram*, whose buckets end at *bounds*."""
        self._histogram = histogram
        self._bounds = bounds
        self._next_at = [float("-inf")] * (len(bounds) + 1)

    def observe(self, amount: float, mark: Mark | None) -> None:
        """Observe *amount*, so that the rare slow bucket has its own exemplar."""
        if mark is None:
            self._histogram.observe(amount)
            return
        bucket = bisect_left(self._bounds, amount)
        if mark.at < self._next_at[bucket]:
            self._histogram.observe(amount)
            return
        self._next_at[bucket] = mark.at + REST_FOR
        self._histogram.observe(amount, mark.labels())
