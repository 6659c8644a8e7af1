# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Asks in the background about keys that nobody comes back for, for event loops."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from keyonce.core.errors import StoreError
from keyonce.engine.asker import log
from keyonce.engine.reconciler import BATCH, BROKEN, EVERY, NOT_LOOKED, check_pace
from keyonce.engine.tokens import jittered

if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType

    from keyonce.core.model import Identity
    from keyonce.engine.aio import AsyncGuard


class AsyncReconciler:
    """Has the reconcile hooks of a guard asked about its unknown keys.

    It knows the operations of the guard: functions under ``once``, rules of the
    middleware. Any number of processes may run one: each decision is carried out
    once.

    Raises:
        ConfigurationError: *every* or *batch* cannot work.
    """

    def __init__(
        self, guard: AsyncGuard, *, every: timedelta = EVERY, batch: int = BATCH
    ) -> None:
        """Look about *every* so often, asking about at most *batch* keys a round."""
        check_pace(every, batch)
        self._asker = guard.asker
        self._every = every.total_seconds()
        self._batch = batch
        self._after: Identity | None = None
        self._task: asyncio.Task[None] | None = None

    async def round(self) -> int:
        """Ask about the keys that are due, one after another; say how many.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        due, self._after = await self._asker.stuck(self._after, self._batch)
        asked = 0
        for identity in due:
            policy = self._asker.policy_of(identity)
            if policy is not None:
                await self._asker.ask(identity, policy)
                asked += 1
        return asked

    def start(self) -> None:
        """Begin to look, in a task of this loop. Starting twice is fine."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Stop looking. Closing twice is fine."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def __aenter__(self) -> Self:
        """Start."""
        self.start()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Stop."""
        await self.close()

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
            except StoreError as error:
                log.warning(NOT_LOOKED, error)
            except Exception:  # noqa: BLE001 - it looks again later
                log.exception(BROKEN)
            await asyncio.sleep(jittered(self._every))
