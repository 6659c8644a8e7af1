# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Cancel a coroutine at its n-th suspension, and a store that suspends at every verb."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from keyonce.stores.memory import AsyncMemoryStore


class CancelledAt(Coroutine[Any, Any, None]):
    """*work*, whose task is cancelled when it suspends for the *nth* time."""

    def __init__(self, work, nth):
        self._work = work
        self._left = nth
        self.reached = False

    def send(self, value):
        waited_for = self._work.send(value)
        self._count()
        return waited_for

    def throw(self, *error):
        waited_for = self._work.throw(*error)
        self._count()
        return waited_for

    def close(self):
        self._work.close()

    def __await__(self):
        raise NotImplementedError

    def _count(self):
        self._left -= 1
        if self._left == 0:
            self.reached = True
            task = asyncio.current_task()
            assert task is not None
            task.cancel()


class SuspendingStore:
    """A memory store that hands over to the loop before and after every verb."""

    VERBS = ("claim", "complete", "release", "abandon", "renew", "find", "examine")

    def __init__(self, *, clock):
        self.inner = AsyncMemoryStore(clock=clock)
        self.traits = replace(self.inner.traits, immediate=False)
        for verb in self.VERBS:
            setattr(self, verb, self._suspending(verb))

    def _suspending(self, verb):
        async def call(*arguments):
            await asyncio.sleep(0)
            answer = await getattr(self.inner, verb)(*arguments)
            await asyncio.sleep(0)
            return answer

        return call

    def blocking(self):
        return self.inner.blocking()

    async def close(self):
        await self.inner.close()
