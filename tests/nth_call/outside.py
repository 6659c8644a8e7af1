# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The world that work acts on: nothing here is undone, or known to any store."""

from __future__ import annotations

import threading
from collections import Counter

from keyonce.core.events import Ended, Event, Outcome


class Outside:
    """Counts effects by key, and runs; one who deduplicates counts a token once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[str, set[str]] = {}
        self._runs: Counter[str] = Counter()

    def runs(self, key: str) -> int:
        """Count one more run of *key*; give its number."""
        with self._lock:
            self._runs[key] += 1
            return self._runs[key]

    def act(self, key: str, token: str) -> None:
        """Bring about an effect of *key*, unless *token* has done so."""
        with self._lock:
            self._tokens.setdefault(key, set()).add(token)

    def effects(self, key: str) -> int:
        """How many there are."""
        with self._lock:
            return len(self._tokens.get(key, ()))


class Ear:
    """Hears how the calls of one guard end."""

    def __init__(self) -> None:
        self._last: Outcome | None = None

    def notify(self, event: Event, /) -> None:
        """Keep what a call ended with."""
        if isinstance(event, Ended):
            self._last = event.outcome

    def unrecorded(self) -> bool:
        """Whether the last call gave an answer with the mark that nobody keeps it."""
        return self._last is Outcome.UNRECORDED
