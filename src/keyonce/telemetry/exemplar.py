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

    Exemplar = Callable[[Identity], dict[str, str]]

LABEL: Final = "idempotency_key"
REST_FOR: Final = 1.0

_ROOM: Final = 128 - len(LABEL)  # OpenMetrics 1.0 bounds the whole set, in runes
_NEVER: Final = float("-inf")


def exemplars(write: Callable[[str], str]) -> Exemplar:
    """Give the maker of exemplars: the key, or its digest where it is too long."""

    def exemplar(identity: Identity) -> dict[str, str]:
        written = write(identity.key)
        return {LABEL: written if len(written) <= _ROOM else digest(identity.key)}

    return exemplar


class MarkedCounter:
    """A counter, bound to its labels, with an exemplar."""

    __slots__ = ("_counter", "_exemplar", "_next_at")

    def __init__(self, counter: Counter, exemplar: Exemplar) -> None:
        """Count with *counter*."""
        self._counter = counter
        self._exemplar = exemplar
        self._next_at = _NEVER

    def inc(self, identity: Identity | None, now: float) -> None:
        """Count one event of *identity*."""
        if identity is None or now < self._next_at:
            self._counter.inc()
            return
        self._next_at = now + REST_FOR
        self._counter.inc(1, self._exemplar(identity))


class MarkedHistogram:
    """A histogram, bound to its labels, with an exemplar in each bucket."""

    __slots__ = ("_bounds", "_exemplar", "_histogram", "_next_at")

    def __init__(
        self, histogram: Histogram, bounds: Sequence[float], exemplar: Exemplar
    ) -> None:
        """Observe with *histogram*, whose buckets end at *bounds*."""
        self._histogram = histogram
        self._bounds = bounds
        self._exemplar = exemplar
        self._next_at = [_NEVER] * (len(bounds) + 1)

    def observe(self, amount: float, identity: Identity | None, now: float) -> None:
        """Observe *amount*, so that the rare slow bucket has its own exemplar."""
        bucket = bisect_left(self._bounds, amount)
        if identity is None or now < self._next_at[bucket]:
            self._histogram.observe(amount)
            return
        self._next_at[bucket] = now + REST_FOR
        self._histogram.observe(amount, self._exemplar(identity))
