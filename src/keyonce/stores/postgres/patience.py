# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How long a verb tries, and when it tries again."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final, TypeVar

from keyonce.core.errors import StoreUnavailable
from keyonce.stores.postgres.translate import is_passing, is_undone, translation_of

if TYPE_CHECKING:
    from collections.abc import Generator

Y = TypeVar("Y")
S = TypeVar("S")
R = TypeVar("R")

FIRST: Final = 0.001
LONGEST: Final = 0.1


class Patience:
    """The time that one call of a verb has, pauses included.

    *once* is for what may not be sent again when its reply was lost; what the
    server has certainly undone is sent again all the same.
    """

    def __init__(self, seconds: float, *, once: bool = False) -> None:
        """Begin now."""
        self._seconds = seconds
        self._once = once
        self._pause = FIRST
        self.deadline = time.monotonic() + seconds

    def left(self) -> float:
        """Give the seconds that are left.

        Raises:
            StoreUnavailable: there are none.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self.over()
        return left

    def over(self) -> StoreUnavailable:
        """Say that the time is over."""
        return StoreUnavailable(
            f"PostgreSQL did not answer within {self._seconds:g} seconds."
        )

    def next_pause(self) -> float:
        """Give a pause, longer each time, with jitter."""
        self._pause = min(2 * self._pause, LONGEST)
        return min(self.left(), self._pause * random.uniform(0.5, 1.0))

    def pause_after(self, error: BaseException) -> float:
        """Give a pause if trying again may help.

        Raises:
            StoreError: it would not, or the time is over.
        """
        again = is_undone(error) or (is_passing(error) and not self._once)
        if not again or time.monotonic() >= self.deadline:
            raise translation_of(error) from error
        return self.next_pause()


def limited(steps: Generator[Y, S, R], deadline: float) -> Generator[Y, S, R]:
    """Run what psycopg waits on until *deadline*, on the monotonic clock.

    Raises:
        TimeoutError: the server said nothing until then.
    """
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= deadline:
                raise TimeoutError("the server did not answer")
            wanted = steps.send(ready)
    except StopIteration as end:
        result: R = end.value
        return result
