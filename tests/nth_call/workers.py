# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A guard and its guarded function, as one process has them: for threads and loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from keyonce.core.guarantee import Guarantee
from keyonce.core.policy import Policy
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.aio_work import current_async_work
from keyonce.engine.current import current_downstream_key
from keyonce.engine.sync import Guard
from keyonce.engine.work import current_work
from keyonce.testing.faults import AsyncFaultyStore, Fault, FaultPlan, FaultyStore
from tests.exactly_once.shops import effect, second
from tests.nth_call.outside import Ear, Outside

LEASE: Final = 0.3
TRIES_FOR: Final = timedelta(seconds=0.1)
#: While calls hang, a caller on a loop gives up after so long: its call is cancelled.
CALLER_WAITS: Final = 0.1


class Crash(BaseException):
    """The process ends here."""


class Worker:
    """One process of threads. After *dies* nothing of it reaches the store."""

    def __init__(
        self, store: Any, guarantee: Guarantee, outside: Outside, shop: Any
    ) -> None:
        self.ear = Ear()
        self.crashes = False
        self.hurried = True
        self._outside = outside
        self._shop = shop
        self._line = FaultPlan()
        self.guard = self._guard(store)
        given = {"connection": shop.connect} if self._exact(guarantee) else {}
        work = {
            Guarantee.EXACTLY_ONCE: self.commits,
            Guarantee.RESUME: self.steps,
        }.get(guarantee, self.acts)
        policy = Policy(guarantee=guarantee, lease=timedelta(seconds=LEASE))
        once: Any = self.guard.once
        guarded = once("order", key=lambda key: key, policy=policy, **given)
        self._order = guarded(work)

    def _exact(self, guarantee: Guarantee) -> bool:
        return guarantee is Guarantee.EXACTLY_ONCE

    def _guard(self, store: Any) -> Any:
        return Guard(
            FaultyStore(store, self._line), observer=self.ear, store_timeout=TRIES_FOR
        )

    def order(self, key: str) -> Any:
        """Place the order *key*, once."""
        return self._order(key)

    def dies(self) -> None:
        """End without another word to the store."""
        self._line.faults.append(Fault(times=None))
        self.close()

    def close(self) -> None:
        self.guard.close()

    def _crashed(self) -> None:
        if self.crashes:
            self._line.faults.append(Fault(times=None))
            raise Crash

    def _ran(self, key: str) -> dict[str, Any]:
        return {"order": key, "run": self._outside.runs(key)}

    def acts(self, key: str) -> dict[str, Any]:
        answer = self._ran(key)
        self._outside.act(key, f"run {answer['run']}")
        self._crashed()
        return answer

    def steps(self, key: str) -> dict[str, Any]:
        answer = self._ran(key)
        charge = current_work().step("charge", self._charge, key)
        self._crashed()
        current_work().reference(charge)
        return answer | {"charge": charge}

    def _charge(self, key: str) -> str:
        token = current_downstream_key() or ""
        self._outside.act(key, token)
        return token

    def commits(self, connection: Any, key: str) -> dict[str, Any]:
        answer = self._ran(key)
        self._shop.run(connection, effect(key))
        self._shop.run(connection, effect(second(key)))
        self._crashed()
        return answer


class AsyncWorker(Worker):
    """One process of an event loop, that the calls run on until they are done."""

    def __init__(
        self,
        store: Any,
        guarantee: Guarantee,
        outside: Outside,
        shop: Any,
        runner: asyncio.Runner,
    ) -> None:
        self._runner = runner
        super().__init__(store, guarantee, outside, shop)

    def _guard(self, store: Any) -> Any:
        return AsyncGuard(
            AsyncFaultyStore(store, self._line),
            observer=self.ear,
            store_timeout=TRIES_FOR,
        )

    def order(self, key: str) -> Any:
        return self._runner.run(self._patiently(lambda: self._order(key)))

    async def _patiently(self, call: Callable[[], Any]) -> Any:
        async with asyncio.timeout(CALLER_WAITS if self.hurried else None):
            return await call()

    def close(self) -> None:
        self._runner.run(self.guard.close())

    async def acts(self, key: str) -> dict[str, Any]:  # type: ignore[override]  # a twin
        return super().acts(key)

    async def steps(self, key: str) -> dict[str, Any]:  # type: ignore[override]  # a twin
        answer = self._ran(key)
        charge = await current_async_work().step("charge", self._charges, key)
        self._crashed()
        await current_async_work().reference(charge)
        return answer | {"charge": charge}

    async def _charges(self, key: str) -> str:
        return self._charge(key)

    async def commits(self, connection: Any, key: str) -> dict[str, Any]:  # type: ignore[override]  # a twin
        answer = self._ran(key)
        await self._shop.run(connection, effect(key))
        await self._shop.run(connection, effect(second(key)))
        self._crashed()
        return answer
