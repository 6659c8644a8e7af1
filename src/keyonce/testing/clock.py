# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A clock that stands still until a test turns it."""

from __future__ import annotations

from datetime import timedelta


class FakeClock:
    """Call it to read it; hand it to a store as its `clock`.

    It starts on a whole second and keeps to whole milliseconds, the finest
    step that every store keeps.
    """

    def __init__(self, *, now: float = 1_800_000_000.0) -> None:
        """Start at *now*, in seconds since the epoch."""
        self._now = now

    def __call__(self) -> float:
        """Read the time."""
        return self._now

    def advance(self, by: float | timedelta) -> float:
        """Turn the clock on, or back when *by* is negative; give the new time."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        self._now = round(self._now + seconds, 3)
        return self._now
