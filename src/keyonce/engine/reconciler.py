# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Asks in the background about keys that nobody comes back for, for threads."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from keyonce.core.errors import ConfigurationError, StoreError
from keyonce.engine.asker import log
from keyonce.engine.tokens import jittered

if TYPE_CHECKING:
    from types import TracebackType

    from keyonce.core.model import Identity
    from keyonce.engine.sync import Guard

EVERY: Final = timedelta(seconds=30)
BATCH: Final = 100


class Reconciler:
    """Has the reconcile hooks of a guard asked about its unknown keys.

    It knows the operations of the guard: functions under ``once``, rules of the
    middleware. Any number of processes may run one: each decision is carried out
    once. Start it after a fork, not before.

    Raises:
        ConfigurationError: *every* or *batch* cannot work.
    """

    def __init__(
        self, guard: Guard, *, every: timedelta = EVERY, batch: int = BATCH
    ) -> None:
        """Look about *every* so often, asking about at most *batch* keys a round."""
        check_pace(every, batch)
        self._asker = guard.asker
        self._every = every.total_seconds()
        self._batch = batch
        self._after: Identity | None = None
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def round(self) -> int:
        """Ask about the keys that are due, one after another; say how many.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        due, self._after = self._asker.stuck(self._after, self._batch)
        asked = 0
        for identity in due:
            if self._over.is_set():
                break
            policy = self._asker.policy_of(identity)
            if policy is not None:
                self._asker.ask(identity, policy)
                asked += 1
        return asked

    def start(self) -> None:
        """Begin to look, in a thread. Starting twice is fine."""
        if self._thread is None:
            self._over.clear()
            self._thread = threading.Thread(
                target=self._run, name="keyonce-reconciler", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Stop looking. Closing twice is fine."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.close()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.round()
            except StoreError as error:
                log.warning(NOT_LOOKED, error)
            except Exception:  # noqa: BLE001 - it looks again later
                log.exception(BROKEN)
            self._over.wait(jittered(self._every))


NOT_LOOKED: Final = "Nobody looked for unknown keys, the store did not answer: %s"
BROKEN: Final = "Looking for unknown keys failed; it is tried again."


def check_pace(every: object, batch: object) -> None:
    """Refuse a pace that cannot work.

    Raises:
        ConfigurationError: naming the setting.
    """
    if not isinstance(every, timedelta) or every <= timedelta(0):
        message = f"every is a timedelta longer than zero, not {every!r}."
        raise ConfigurationError(message)
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        message = f"batch is a whole number from 1 on, not {batch!r}."
        raise ConfigurationError(message)
