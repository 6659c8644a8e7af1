# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a background thread does in rounds, of which any may fail."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import StoreError

if TYPE_CHECKING:
    from types import TracebackType

QUIET_FOR: Final = 600.0
log: Final = logging.getLogger("keyonce")


class Rounds:
    """Lets each ``with`` block over it fail alone: the thread goes on.

    That a store is busy or gone is nothing to tell. Whatever else goes wrong is
    logged, once in ten minutes at most.
    """

    def __init__(self, what: str) -> None:
        """Call the work *what*, such as ``the upkeep of a store``, in the log."""
        self._what = what
        self._quiet_until = float("-inf")

    def __enter__(self) -> None:
        """Begin a round."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """End a round, and go on unless it is the program that ends."""
        if not isinstance(error, Exception):
            return False
        now = time.monotonic()
        if not isinstance(error, StoreError) and now >= self._quiet_until:
            self._quiet_until = now + QUIET_FOR
            log.error("A round of %s failed; it goes on.", self._what, exc_info=error)
        return True
