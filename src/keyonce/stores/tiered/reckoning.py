# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What time it is at the durable store, reckoned from when it last said so.

Its clock was read after the question left here, so what passed since the question
is at least what passed there since: the reckoning is never behind but for a clock
that runs slow or jumps. Two clocks of this machine are asked and the one that says
more is believed: one goes on while the machine sleeps, the other is set right when
a paused virtual machine wakes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

Instant = tuple[float, float]

# How far ahead of the reckoning the store's clock is thought to be, in seconds, and
# by how much more with each second since it was heard: both clocks at 500 ppm.
MARGIN: Final = 1.0
DRIFT: Final = 0.001
# A jump of the store's clock is not noticed for longer than this.
FORGOTTEN_AFTER: Final = 600.0


class _Heard(NamedTuple):
    asked_at: Instant
    now: float


class Reckoning:
    """Estimates the durable store's clock from its answers."""

    __slots__ = ("_clock", "_heard")

    def __init__(self, clock: Callable[[], Instant]) -> None:
        """Let time pass here as *clock* says, twice."""
        self._clock: Final = clock
        self._heard: _Heard | None = None

    @property
    def begun(self) -> bool:
        """Whether the store ever said what time it is."""
        return self._heard is not None

    def instant(self) -> Instant:
        """Say when a question is asked."""
        return self._clock()

    def heard(self, asked_at: Instant, now: float) -> None:
        """Remember that the store answered *now* to what was asked then."""
        before = self._heard
        if before is None or before.asked_at[0] <= asked_at[0]:
            self._heard = _Heard(asked_at, now)

    def now(self) -> tuple[float, float] | None:
        """Give what time it is there, and what it may be at most; None: unknown."""
        heard = self._heard
        if heard is None:
            return None
        first, second = self._clock()
        age = max(first - heard.asked_at[0], second - heard.asked_at[1])
        if not 0 <= age < FORGOTTEN_AFTER:
            return None
        now = heard.now + age
        return now, now + MARGIN + DRIFT * age
