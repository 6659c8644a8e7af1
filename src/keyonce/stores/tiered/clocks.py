# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How time passes on this machine, told twice.

One clock goes on while the machine sleeps; the other is set right when a virtual
machine wakes that was paused.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.stores.tiered.reckoning import Instant

monotonic: Final = time.monotonic

_SLEEPLESS: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def machine() -> Instant:
    """Read the clock that goes on in sleep where there is one, and the wall's."""
    if _SLEEPLESS is None:
        return time.monotonic(), time.time()
    return time.clock_gettime(_SLEEPLESS), time.time()


def twice(clock: Callable[[], float]) -> Callable[[], Instant]:
    """Let one *clock* be both, for tests."""

    def both() -> Instant:
        now = clock()
        return now, now

    return both
