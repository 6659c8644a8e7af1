# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which keys this process has met lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from keyonce.core.model import Identity

REMEMBERED: Final = 8192


class Met:
    """Remembers the latest identities; a wrong answer costs a trip, nothing else.

    Used by several threads without a lock: each step on the dict is one.
    """

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        """Know nobody."""
        self._latest: dict[Identity, None] = {}

    def before(self, identity: Identity) -> bool:
        """Say whether *identity* was met lately, and remember it."""
        if identity in self._latest:
            return True
        self._latest[identity] = None
        if len(self._latest) > REMEMBERED:
            self._forget()
        return False

    def _forget(self) -> None:
        try:
            del self._latest[next(iter(self._latest))]
        except (KeyError, RuntimeError, StopIteration):
            return  # another thread was faster
