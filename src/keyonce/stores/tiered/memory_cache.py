# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A cache in the memory of one process, bounded by bytes."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Final

SIZE: Final = 64 * 1024 * 1024

_BESIDE: Final = 300  # what a name, an entry and their place take beside their bytes


class MemoryCache:
    """Keeps what was used last, for threads and event loops alike.

    *size* is in bytes. Entries are not forgotten by time but by room: whoever
    reads one compares its end. A fork begins with an empty one.
    """

    def __init__(self, *, size: int = SIZE) -> None:
        """Start empty; *size* bytes at most are kept."""
        self._size = size
        self._begin()

    @property
    def shared(self) -> bool:
        """Nobody else writes to it."""
        return False

    @property
    def immediate(self) -> bool:
        """It never waits."""
        return True

    @property
    def used(self) -> int:
        """How many bytes are kept, their places included."""
        return self._used

    def get(self, name: bytes) -> bytes | None:
        with self._mine():
            entry = self._entries.get(name)
            if entry is not None:
                self._entries.move_to_end(name)
            return entry

    def put(self, name: bytes, entry: bytes, seconds: float) -> None:  # noqa: ARG002 - by room
        with self._mine():
            self._forget(name)
            self._entries[name] = entry
            self._used += _cost(name, entry)
            while self._used > self._size:
                self._forget(next(iter(self._entries)))

    def drop(self, name: bytes) -> None:
        with self._mine():
            self._forget(name)

    def close(self) -> None:
        """Forget everything."""
        self._begin()

    def _begin(self) -> None:
        self._entries: OrderedDict[bytes, bytes] = OrderedDict()
        self._used = 0
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def _mine(self) -> threading.Lock:
        if self._pid != os.getpid():  # another thread may have held the lock
            self._begin()
        return self._lock

    def _forget(self, name: bytes) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._used -= _cost(name, entry)


def _cost(name: bytes, entry: bytes) -> int:
    return len(name) + len(entry) + _BESIDE
