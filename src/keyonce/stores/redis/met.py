# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which keys this process has met lately."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyonce.core.model import Identity


class Met:
    """Remembers at least the last *size* identities, at most twice as many.

    It is a guess about what comes next, never a decision: to forget, or to
    remember what another thread has just forgotten, does no harm.
    """

    __slots__ = ("_before", "_lately", "_size")

    def __init__(self, size: int = 4096) -> None:
        """Have met nobody."""
        self._size = size
        self._lately: set[Identity] = set()
        self._before: set[Identity] = set()

    def again(self, identity: Identity) -> bool:
        """Remember *identity*; say whether it was met before."""
        if identity in self._lately:
            return True
        known = identity in self._before
        if len(self._lately) >= self._size:
            self._before, self._lately = self._lately, set()
        self._lately.add(identity)
        return known
