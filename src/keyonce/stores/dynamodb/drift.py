# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How far this machine's clock is from DynamoDB's, as the dates of answers tell."""

from __future__ import annotations

import logging
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

log: Final = logging.getLogger("keyonce")

LOOKS_EVERY: Final = 10.0
SAYS_EVERY: Final = 300.0


def drift_of(
    response: dict[str, Any], sent_at: float, received_at: float
) -> float | None:
    """Say by how many seconds the clock is ahead (or, below zero, behind) at least.

    A date is cut to the second and the way back takes time: within both, the
    clocks agree. None where the answer has no date.
    """
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        date = parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None
    ahead = sent_at - (date + 1.0)
    behind = received_at - date
    if ahead > 0:
        return ahead
    return min(behind, 0.0)


class Drift:
    """Looks at an answer now and then, and warns when the margin is not kept.

    Two clocks that are each within half of the margin differ by no more than it.
    """

    __slots__ = ("_clock", "_looks_at", "_margin", "_says_at")

    def __init__(self, clock: Callable[[], float], margin: float) -> None:
        """Hold *clock* against the server's."""
        self._clock = clock
        self._margin = margin
        self._looks_at = self._says_at = float("-inf")

    def look(self, response: dict[str, Any], sent_at: float) -> None:
        """Compare, if it is time to."""
        monotonic = time.monotonic()
        if monotonic < self._looks_at:
            return
        self._looks_at = monotonic + LOOKS_EVERY
        drift = drift_of(response, sent_at, self._clock())
        if drift is None or abs(drift) <= self._margin / 2:
            return
        if monotonic >= self._says_at:
            self._says_at = monotonic + SAYS_EVERY
            log.warning(
                "This machine's clock is %.1f s %s DynamoDB's, more than half of the "
                "declared skew of %g s: leases may be taken over early. Set the clock.",
                abs(drift),
                "ahead of" if drift > 0 else "behind",
                self._margin,
            )
