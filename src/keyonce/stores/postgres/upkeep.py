# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that purges what expired and tends partitions, off the path of a claim."""

from __future__ import annotations

import os
import random
import threading
import time
from typing import TYPE_CHECKING, Final

from keyonce.stores.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH: Final = 200
UNASKED: Final = 60.0  # seconds between rounds that only tend


class Upkeep:
    """Works in the background, from the first write of a process on."""

    def __init__(
        self,
        purge: Callable[[int], int],
        every: float | None,
        *,
        tend: Callable[[], None] | None = None,
    ) -> None:
        """Call *purge* about every *every* seconds, with jitter; None: never.

        *tend* is called as often, and when `hurry` says so.
        """
        self._purge = purge
        self._every = every
        self._tend = tend
        self._tending = Rounds("tending partitions")
        self._purging = Rounds("purging")
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._called = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start the thread, unless it runs in this process."""
        if self._every is None and self._tend is None:
            return
        if self._pid != os.getpid():
            self._reset()
        if self._thread is None:
            self._start()

    def hurry(self) -> None:
        """Tend now."""
        self._called.set()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(
                    target=self._run, name="keyonce-upkeep", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """End the thread, after the batch it is at."""
        self._stopping.set()
        self._called.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        due = self._next()
        while True:
            self._called.wait(max(0.0, due - time.monotonic()))
            if self._stopping.is_set():
                return
            self._called.clear()
            if self._tend is not None:
                with self._tending:
                    self._tend()
            if time.monotonic() >= due:
                if self._every is not None:
                    with self._purging:
                        self._purge_all()
                due = self._next()

    def _next(self) -> float:
        every = UNASKED if self._every is None else self._every
        return time.monotonic() + every * random.uniform(0.75, 1.25)

    def _purge_all(self) -> None:
        purged = BATCH
        while purged == BATCH and not self._stopping.is_set():
            began = time.monotonic()
            purged = self._purge(BATCH)
            # Leave the server to the traffic for longer than it was busy here.
            self._stopping.wait(2 * (time.monotonic() - began))
