# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A function that runs once for each key, for event loops."""

from __future__ import annotations

import asyncio
import inspect
from functools import update_wrapper
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    TypeVar,
    cast,
    overload,
)

from keyonce.core.decide import Proceed, Replay
from keyonce.core.errors import StoreError
from keyonce.core.transitions import effective_status
from keyonce.engine.aio_work import to_its_end
from keyonce.engine.arrival import Arrival, outcome_of_silence
from keyonce.engine.calls import is_failure, wait_for
from keyonce.engine.current import at, entered
from keyonce.engine.finished import Lost
from keyonce.engine.handle import lost
from keyonce.engine.tokens import jittered
from keyonce.engine.transaction import (
    RUNS,
    Conflict,
    Stage,
    exact,
    never_committed,
    not_ours,
    pause_after,
)
from keyonce.engine.watching import harmless

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from keyonce.core.decide import Decision
    from keyonce.core.ending import Committed, Ending, Keep
    from keyonce.core.errors import LeaseLost
    from keyonce.core.model import Attempt, Lease, Record
    from keyonce.core.states import Status
    from keyonce.engine.aio import AsyncGuard
    from keyonce.engine.aio_work import AsyncWork
    from keyonce.engine.calls import Call
    from keyonce.engine.finished import Finished

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


class AsyncOnce(Generic[P, R]):
    """A guarded coroutine function, called like the one it guards; methods as well."""

    def __init__(
        self,
        guard: AsyncGuard,
        call: Call,
        function: Callable[..., Awaitable[R]],
        connection: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
        bound: tuple[Any, ...] = (),
    ) -> None:
        """Guard *function* as *call* says; *bound* is whose method it is.

        *connection* gives what its transaction is on.
        """
        self._connection = connection
        update_wrapper(self, function)
        self._guard = guard
        self._call = call
        self._function = function
        self._bound = bound
        self._observer = harmless(guard.observer)
        mark = getattr(inspect, "markcoroutinefunction", None)
        if mark is not None:  # since Python 3.12
            mark(self)

    @overload
    def __get__(self, instance: None, owner: type) -> AsyncOnce[P, R]: ...

    @overload
    def __get__(
        self: AsyncOnce[Concatenate[S, Q], R], instance: S, owner: type
    ) -> AsyncOnce[Q, R]: ...

    def __get__(self, instance: Any, owner: type) -> Any:
        """Be a method where this stands in a class."""
        if instance is None:
            return self
        function = cast("Callable[..., Any]", self._function)
        return AsyncOnce(
            self._guard, self._call, function, self._connection, (instance,)
        )

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function, or give what it returned under the same key.

        Raises:
            InProgress: another call is at work under this key.
            KeyReused: it was used before, with other arguments.
            KeyExpired: the outcome is past its retention; late calls are refused.
            OutcomeUnknown: nobody can say whether the work was done.
            ResultNotKept: the work is done, its result was too large to keep.
            WorkFailed: the work raised, and that is its outcome.
            SafeToRetry: its transactions met others again and again; the key is free.
            NotCommitted: under exactly-once, it ended without a commit.
            LeaseLost: another worker has taken the key, and has no outcome yet.
            StoreUnavailable: the store did not answer; nothing has run.
        """
        call, given = self._call, (*self._bound, *args)
        attempt = call.attempt(given, kwargs)
        arrival = Arrival(self._observer, call.name, attempt.identity)
        decision = await self._begin(attempt, arrival)
        if isinstance(decision, Proceed):
            return await self._run(decision.lease, attempt, arrival, given, kwargs)
        arrival.met(decision)
        if isinstance(decision, Replay):
            known: R = await self._outcome(decision.record)
            return known
        raise call.refusal(decision)

    async def status(self, *args: P.args, **kwargs: P.kwargs) -> Status | None:
        """Say how the key of this call stands, without running anything."""
        identity = self._call.identity((*self._bound, *args), kwargs)
        found = await self._guard.find(identity)
        return None if found is None else effective_status(found.record, found.now)

    async def forget(self, reason: str, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Take the outcome of this call's key away, so that the next call runs anew.

        Says whether there was one. *reason* goes to the audit. What the function has
        done stays done; downstream keys are others in the next run.

        Raises:
            SettlementRefused: it is at work, or nobody knows whether it was done.
            StoreUnavailable: the store did not answer; look by ``status``.
        """
        identity = self._call.identity((*self._bound, *args), kwargs)
        return await self._guard.forget(
            identity, reason=reason, actor=f"code of {self._call.name!r}"
        )

    async def _begin(self, attempt: Attempt, arrival: Arrival) -> Decision:
        policy = self._call.policy
        wait = wait_for(policy)
        try:
            return await self._guard.begin(
                attempt, policy, wait_for=wait, on_gone=arrival.gone
            )
        except BaseException as error:
            arrival.ended(outcome_of_silence(error))
            raise

    async def _run(
        self, lease: Lease, attempt: Attempt, arrival: Arrival, args: Any, kwargs: Any
    ) -> R:
        call, stop = self._call, _Stop()
        work = None
        try:
            work = self._guard.work(
                lease, attempt.fingerprint, call.policy, keep=call.keeps
            )
            arrival.hears = stop.watch(work)
            with at(entered(lease, work)), arrival.at_work(lease):
                value = await self._called(work, args, kwargs)
            stop.over()
            kept, copy = await self._ended(work, value)
        except BaseException as raised:  # noqa: BLE001 - raised again once it is kept
            error = stop.over() or raised
            committed = await to_its_end(self._committed(work))
            unclear = work is not None and work.unclear
            ending = committed or call.failed(error, unclear=unclear)
            finished = await to_its_end(self._finish(lease, ending, arrival))
            if isinstance(finished, Lost) and isinstance(error, Exception):
                return await self._winners(lease, attempt, finished, error)
            raise error from None if error is raised else raised
        finished = await to_its_end(self._finish(lease, kept, arrival))
        if isinstance(finished, Lost):
            return await self._winners(lease, attempt, finished)
        mine: R = copy
        return mine

    async def _committed(self, work: AsyncWork | None) -> Committed | None:
        """Say what has been committed by work that raised, as far as can be known."""
        try:
            return None if work is None else await work.settled()
        except StoreError:
            return None  # to free the key does nothing, then

    async def _ended(self, work: AsyncWork, value: Any) -> tuple[Keep | Committed, Any]:
        """Say how work ended that gave *value*, and give the caller's copy."""
        call = self._call
        committed = await work.settled()
        if committed is not None:
            return committed, await self._outcome(committed.record)
        if exact(call.policy) or work.ledger.is_open:
            raise never_committed(repr(call.name))
        return call.ended(work, value)

    async def _called(self, work: AsyncWork, args: Any, kwargs: Any) -> Any:
        """Call the function; with a connection as often as others get in the way."""
        if self._connection is None:
            return await self._function(*args, **kwargs)
        for runs in range(RUNS - 1):
            try:
                return await self._connected(work, self._connection, args, kwargs)
            except Conflict:
                await asyncio.sleep(jittered(pause_after(runs)))
        return await self._connected(work, self._connection, args, kwargs)

    async def _connected(
        self,
        work: AsyncWork,
        connect: Callable[[], AbstractAsyncContextManager[Any]],
        args: Any,
        kwargs: Any,
    ) -> Any:
        """Do the whole in one transaction, on a connection of its own."""
        bound = len(self._bound)
        async with connect() as connection:
            transaction = work.transaction(connection)
            async with transaction:
                if not transaction.ours:
                    raise not_ours(self._call.name)
                given = (*args[:bound], connection, *args[bound:])
                value = await self._function(*given, **kwargs)
                if work.ledger.stage is Stage.OPEN:
                    await work.complete(value)
            return value

    async def _outcome(self, record: Record) -> Any:
        """Give the result that *record* keeps, or that is built from its reference."""
        call, reference = self._call, self._call.referred(record)
        if call.rebuild is None or reference is None:
            return call.outcome(record)
        try:
            value = call.rebuild(reference)
            return await value if inspect.isawaitable(value) else value
        except Exception as error:
            raise call.not_rebuilt() from error

    async def _finish(
        self, lease: Lease, ending: Ending | Committed, arrival: Arrival
    ) -> Finished:
        finished = await self._guard.finish(lease, ending, self._call.policy)
        arrival.finished(finished, failed=is_failure(ending))
        return finished

    async def _winners(
        self,
        lease: Lease,
        attempt: Attempt,
        lost: Lost,
        error: Exception | None = None,
    ) -> R:
        """Give the outcome of whoever took the key, as every later call gets it."""
        winner, call = lost.record, self._call
        if winner is None or winner.result is None:
            winner = await self._guard.winner(lease, wait_for=call.policy.patience)
        known: R = await self._outcome(call.winners(winner, attempt, error))
        return known


class _Stop:
    """Cancels the work when its lease is gone, which then raises LeaseLost."""

    _work: AsyncWork | None = None
    _task: asyncio.Task[Any] | None = None
    _reason = ""

    def watch(self, work: AsyncWork) -> Callable[[str], None]:
        """Begin: *work* is what this task does."""
        self._work, self._task = work, asyncio.current_task()
        return self._gone

    def _gone(self, reason: str) -> None:
        work, task = self._work, self._task
        if work is not None and work.gone(reason) and task is not None:
            self._reason = reason
            task.cancel()

    def over(self) -> LeaseLost | None:
        """End; give the error in place of the cancellation that came from here."""
        task, self._work, self._task = self._task, None, None
        if task is None or not self._reason or task.uncancel():
            return None
        return lost(self._reason)
