# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Short, jittered retries while another program holds SQLite's lock.

SQLite's own busy handler waits in steps of up to 100 ms; with several writers
these give pauses of a third of a second where 15 ms are enough.
"""

from __future__ import annotations

import random
import sqlite3
import time
from typing import TYPE_CHECKING, Final, TypeVar

from keyonce.stores.sqlite.translate import is_busy

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

SHORTEST: Final = 0.0005
LONGEST: Final = 0.015


def patiently(step: Callable[[], R], deadline: float) -> R:
    """Try *step* at least once, and while it is busy until *deadline* (monotonic)."""
    pause = SHORTEST
    while True:
        try:
            return step()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
        time.sleep(pause * random.uniform(0.3, 1.0))
        pause = min(2 * pause, LONGEST)
