# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Has reconcile hooks asked, for event loops.

Each asking is a task of its own. A coroutine is cancelled after a minute; a plain
function gets a thread, as it would hold the loop up.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.events import Reconciled
from keyonce.core.flow import arun
from keyonce.engine import reconcile as r
from keyonce.engine.asker import failure_of, log
from keyonce.engine.askings import Askings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from keyonce.core.events import Observer
    from keyonce.core.model import Identity
    from keyonce.core.policy import Policy
    from keyonce.core.protocols import AsyncStore
    from keyonce.core.reconcile import Reconcile, UnknownWork
    from keyonce.engine.asker import PolicyOf
    from keyonce.engine.commands import OperatorCommand

GIVE_UP: Final = 60.0


class AsyncAsking:
    """One asking about one key."""

    def __init__(self) -> None:
        """Begin."""
        self.task: asyncio.Task[None] | None = None
        self.decided = False


class AsyncAsker:
    """Asks hooks about keys of unknown outcome, one at a time for each key."""

    def __init__(
        self,
        store: AsyncStore,
        observer: Observer,
        clock: Callable[[], float],
        works_here: Callable[[bytes], bool],
    ) -> None:
        """Settle in *store*; *works_here* says whether an owner is still at work."""
        self._store = store
        self._observer = observer
        self._clock = clock
        self._works_here = works_here
        self._askings: Askings[AsyncAsking] = Askings()
        self._known: list[PolicyOf] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def knows(self, policy_of: PolicyOf) -> None:
        """Let the background find the hooks of operations that *policy_of* knows."""
        self._known.append(policy_of)

    def policy_of(self, identity: Identity) -> Policy | None:
        """Give the policy with the hook for *identity*, if there is one."""
        for policy_of in self._known:
            policy = policy_of(identity)
            if policy is not None and policy.reconcile is not None:
                return policy
        return None

    def again_in(self, identity: Identity) -> float:
        """In how many seconds the hook is asked about *identity* at the earliest."""
        return self._askings.again_in(identity, self._clock())

    async def ask(self, identity: Identity, policy: Policy) -> bool:
        """Have the hook asked about *identity*, and wait for the policy's timeout.

        Says whether the key may stand otherwise now. Where it is being asked about
        already, waits for that; where it is not due, does nothing.
        """
        joined = self._askings.join(identity, self._clock(), AsyncAsking)
        if joined is None:
            return False
        asking, mine = joined
        if mine:
            carried = self._carry_out(asking, identity, policy)
            asking.task = asyncio.ensure_future(carried)
            self._tasks.add(asking.task)
            asking.task.add_done_callback(self._tasks.discard)
        if asking.task is not None:
            timeout = policy.reconcile_timeout.total_seconds()
            await asyncio.wait([asking.task], timeout=timeout)
        return asking.decided

    async def stuck(
        self, after: Identity | None, most: int
    ) -> tuple[list[Identity], Identity | None]:
        """List keys that are due to be asked about; see ``reconcile.stuck``."""
        return await arun(r.stuck(self._is_due, after, most), self._perform)

    async def close(self) -> None:
        """Stop what is being asked."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_due(self, identity: Identity) -> bool:
        return self.again_in(identity) <= 0 and self.policy_of(identity) is not None

    async def _carry_out(
        self, asking: AsyncAsking, identity: Identity, policy: Policy
    ) -> None:
        word = r.FAILED
        try:
            word = await self._asked(identity, policy)
        except Exception:  # noqa: BLE001 - the author's code may raise what it likes
            if self._askings.to_be_told(identity, self._clock()):
                log.exception("%s", failure_of(identity))
        finally:
            self._observer.notify(Reconciled(identity, word))
            asking.decided = word in r.DECIDED
            self._askings.over(identity, self._clock(), decided=asking.decided)

    async def _asked(self, identity: Identity, policy: Policy) -> str:
        work = await arun(r.look(identity, self._works_here), self._perform)
        if isinstance(work, str) or policy.reconcile is None:
            return work if isinstance(work, str) else r.STILL
        answer = await _answer(policy.reconcile, work)
        return await arun(r.carry_out(work, answer, policy), self._perform)

    def _perform(self, command: OperatorCommand) -> Awaitable[Any]:
        called: Awaitable[Any] = command.on(self._store)
        return called


async def _answer(hook: Reconcile, work: UnknownWork) -> Any:
    given: Any = hook(work) if _is_async(hook) else await _in_thread(hook, work)
    if inspect.isawaitable(given):
        return await asyncio.wait_for(given, GIVE_UP)
    return given


def _is_async(hook: Reconcile) -> bool:
    return inspect.iscoroutinefunction(hook)


async def _in_thread(hook: Reconcile, work: UnknownWork) -> Any:
    """Call *hook* in a thread that nobody waits for when the program ends."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Any] = loop.create_future()

    def call() -> None:
        answer, error = None, None
        try:
            answer = hook(work)
        except BaseException as raised:  # noqa: BLE001 - raised where it is awaited
            error = raised
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(_tell, told, answer, error)

    threading.Thread(target=call, name="keyonce-reconcile", daemon=True).start()
    return await told


def _tell(told: asyncio.Future[Any], answer: Any, error: BaseException | None) -> None:
    if told.done():
        return
    if error is None:
        told.set_result(answer)
    elif isinstance(error, StopIteration):
        told.set_exception(RuntimeError("The hook raised StopIteration."))
    else:
        told.set_exception(error)
