# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What comes after a failed call: an answer, another try, or the end."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from keyonce.stores.dynamodb.calls import Answer
from keyonce.stores.dynamodb.translate import is_passing, refusal_of, unavailable

if TYPE_CHECKING:
    from keyonce.stores.dynamodb.calls import Call

SHORTEST: Final = 0.02
LONGEST: Final = 0.5


class Patience:
    """The tries of one call, with jittered pauses that grow.

    One try of a client of ours takes at most half of *store_timeout*, so none
    begins in the second half.
    """

    __slots__ = ("_call", "_pause", "_table", "_until")

    def __init__(self, call: Call, table: str, store_timeout: float) -> None:
        """Begin now."""
        self._call = call
        self._table = table
        self._until = time.monotonic() + store_timeout / 2
        self._pause = SHORTEST

    def after(self, error: Exception) -> Answer | float:
        """Give the answer that *error* is, or how long to rest before a new try.

        Raises:
            StoreUnavailable: it is neither, or there is no time left.
        """
        refusal = refusal_of(error)
        if refusal in self._call.expects:
            return Answer(getattr(error, "response", {}), refusal)
        pause = self._pause * random.uniform(0.3, 1.0)
        if not is_passing(error) or time.monotonic() + pause >= self._until:
            raise unavailable(error, self._table) from error
        self._pause = min(2 * self._pause, LONGEST)
        return pause
