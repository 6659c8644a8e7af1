# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How the cache does: what it answered, and whether to leave it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core.events import CacheAsked, NoObserver

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.events import Observer

RESTS_FOR: Final = 3.0


class Standing:
    """Counts, and after a failure a rest of some seconds.

    When the rest is over one call tries the cache again, and only its success ends
    the rests: a cache that hangs costs one call its timeout every few seconds.
    *counts* has ``hit``, ``miss`` (a claim went to the durable store), ``refused`` (an
    entry was none of ours) and ``failed``; of many threads some may not be counted.
    """

    __slots__ = ("_clock", "_observer", "_rests_until", "_store", "counts")

    def __init__(self, store: str, clock: Callable[[], float]) -> None:
        """Begin in good standing; *store* names it to the observer."""
        self._store = store
        self._clock = clock
        self._observer: Observer = NoObserver()
        self._rests_until: float | None = None
        self.counts = {"hit": 0, "miss": 0, "refused": 0, "failed": 0}

    def tell(self, observer: Observer) -> None:
        """Let *observer* hear what is counted."""
        self._observer = observer

    def count(self, answer: str) -> None:
        """Count one answer of the cache."""
        self.counts[answer] += 1
        self._observer.notify(CacheAsked(self._store, answer))

    def may_be_asked(self) -> bool:
        """Say whether it is worth a try; after a rest this is for one caller."""
        if self._rests_until is None:
            return True
        now = self._clock()
        if now < self._rests_until:
            return False
        self._rests_until = now + RESTS_FOR
        return True

    def worked(self) -> None:
        """Take note that the cache answered."""
        self._rests_until = None

    def failed(self) -> None:
        """Take note that it did not, and leave it alone for a while."""
        self._rests_until = self._clock() + RESTS_FOR
        self.count("failed")
