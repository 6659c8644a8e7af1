# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that purges what expired, off the path of a claim."""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH: Final = 200


class Upkeep:
    """Purges in the background, from the first write of a process on."""

    def __init__(self, purge: Callable[[int], int], every: float | None) -> None:
        """Call *purge* about every *every* seconds, with jitter; None: never."""
        self._purge = purge
        self._every = every
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start the thread, unless it runs in this process."""
        if self._every is None:
            return
        if self._pid != os.getpid():
            self._reset()
        if self._thread is None:
            self._start()

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
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        every = self._every or 0.0
        while not self._stopping.wait(every * random.uniform(0.75, 1.25)):
            with suppress(StoreError):  # the next round
                self._purge_all()

    def _purge_all(self) -> None:
        purged = BATCH
        while purged == BATCH and not self._stopping.is_set():
            began = time.monotonic()
            purged = self._purge(BATCH)
            # Leave the server to the traffic for longer than it was busy here.
            self._stopping.wait(2 * (time.monotonic() - began))
