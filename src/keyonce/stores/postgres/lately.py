# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which identities this process has met lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from keyonce.core.model import Identity

MOST: Final = 4096


class Lately:
    """A bounded memory, for a guess that costs nothing when it is wrong.

    A key that was met is likely met again: then its record is there, and reading
    it is cheaper than claiming it.
    """

    def __init__(self) -> None:
        """Remember nothing."""
        self._new: set[Identity] = set()
        self._old: set[Identity] = set()

    def note(self, identity: Identity) -> None:
        """Remember *identity* for some thousand others."""
        if len(self._new) >= MOST:
            self._old, self._new = self._new, set()
        self._new.add(identity)

    def __contains__(self, identity: Identity) -> bool:
        """Whether *identity* was met lately."""
        return identity in self._new or identity in self._old
