# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that purges what expired, beside the traffic and in small steps."""

from __future__ import annotations

import os
import random
import threading
import time
from typing import TYPE_CHECKING, Final

from keyonce.stores.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

BATCH: Final = 100
PAUSE: Final = 0.005


class Upkeep:
    """Purges about every so often, from the first write of this process on."""

    def __init__(
        self, purge: Callable[[int], int], purge_every: timedelta | None
    ) -> None:
        """Call *purge* with a number of records; None leaves it to others."""
        self._purge = purge
        self._purging = Rounds("purging")
        self._every = None if purge_every is None else purge_every.total_seconds()
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._pid = 0
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start the thread, unless it runs in this process."""
        if self._pid == os.getpid() or self._every is None:
            return
        with self._starting:
            if self._pid == os.getpid() or self._stopping.is_set():
                return
            self._pid = os.getpid()
            self._thread = threading.Thread(
                target=self._run,
                args=(self._every,),
                name="keyonce-upkeep",
                daemon=True,
            )
            self._thread.start()

    def close(self) -> None:
        """End the thread, after the step that it is in."""
        self._stopping.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(timeout=10)

    def _run(self, every: float) -> None:
        while not self._stopping.wait(every * random.uniform(0.75, 1.25)):
            with self._purging:
                self._purge_all()

    def _purge_all(self) -> None:
        purged = BATCH
        while purged == BATCH and not self._stopping.is_set():
            began = time.monotonic()
            purged = self._purge(BATCH)
            # Leave the server to the traffic for longer than it was kept busy.
            self._stopping.wait(max(PAUSE, 2 * (time.monotonic() - began)))
