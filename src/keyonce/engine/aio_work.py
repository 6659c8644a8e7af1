# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A handler's handle on the work it does, for event loops."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from keyonce.core.errors import ConfigurationError
from keyonce.core.steps import Progress
from keyonce.engine.aio_transacting import AsyncWorkTransaction
from keyonce.engine.current import at, current_place, in_step
from keyonce.engine.handle import Handle
from keyonce.engine.outcomes import Unsaid
from keyonce.engine.raised import error_value, is_declared
from keyonce.engine.transacting import Desk
from keyonce.engine.transaction import Stage, owners_commit
from keyonce.engine.work import Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable

    from keyonce.core.ending import Committed
    from keyonce.core.model import Lease, Note
    from keyonce.engine.aio_transacting import AsyncDesk
    from keyonce.engine.commands import Command
    from keyonce.engine.handle import Taking
    from keyonce.engine.steps import StepBook, StepRule

P = ParamSpec("P")
R = TypeVar("R")


class AsyncWork(Handle):
    """Work for event loops. A step may be a coroutine function or a plain one."""

    def __init__(
        self,
        lease: Lease,
        book: StepBook,
        write: Callable[[Note], Awaitable[None]],
        desk: AsyncDesk,
    ) -> None:
        """Begin, or go on where *book* ends; *desk* is for transactions."""
        super().__init__(lease, book)
        self._write = write
        self._desk = desk
        self._turn = asyncio.Lock()  # of notes: each holds or follows the last
        self._loop = asyncio.get_running_loop()

    async def reference(self, text: str) -> None:
        """Write down at once what the work has brought about, such as a charge's id.

        Operators see it beside the key, also where the outcome stays unknown. Inside
        a transaction it becomes part of that.

        Raises:
            LeaseLost: the key is somebody else's by now.
            StoreUnavailable: it could not be written.
        """
        self._check_reference(text)
        if self.ledger.is_open:
            self.ledger.refer(text)
            return
        await to_its_end(self._refer_in_turn(text))

    def transaction(self, connection: Any) -> AsyncWorkTransaction:
        """Give the block in which effect and outcome commit together.

        *connection* leads to the store's own database, by a driver or by SQLAlchemy.
        Where no transaction is open on it, the block begins one and commits it; one
        that is open is joined, and the commit is its owner's.

        Raises:
            ConfigurationError: the store or the connection cannot do that.
        """
        return AsyncWorkTransaction(self._desk, self.ledger, connection)

    async def complete(
        self,
        value: Any = Unsaid.NOTHING,
        *,
        status: int | None = None,
        headers: Iterable[tuple[str, str]] = (),
        reference: str | None = None,
    ) -> None:
        """Put the outcome into the open transaction: what every retry will get.

        Text and bytes are kept as they are, a StoredResult as well, all else is JSON.
        With a *reference* and no *value* that alone is kept, and the answer is built
        from it each time, by the function given as ``rebuild=``.

        Raises:
            ConfigurationError: no transaction is open, or it is one on a connection
                to another database; or nobody says how to build the answer.
            ResultNotEncodable: *value* cannot be stored.
            LeaseLost: the key is somebody else's; all is rolled back.
        """
        if self.ledger.block is None:
            raise self.ledger.not_open()
        given = self._outcome_given(value, reference)
        await self.ledger.block.complete(given, status, headers)

    @overload
    async def step(
        self,
        rule: str | StepRule,
        fn: Callable[P, Awaitable[R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...

    @overload
    async def step(
        self,
        rule: str | StepRule,
        fn: Callable[P, R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...

    async def step(
        self, rule: str | StepRule, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Any:
        """Call *fn* once and keep what it returns; give that to later executions.

        *rule* is the step's name, or a StepRule where the name does not say enough.
        The first caller, too, gets the stored copy. Steps may run side by side: they
        are known again by the order in which they are called.

        Raises:
            StepsChanged: an earlier execution took another step here.
            OutcomeUnknown: a step that is not safe to repeat has no known end.
            ResultNotEncodable: what *fn* returned cannot be stored.
            LeaseLost: the key is somebody else's by now: stop.
            StoreUnavailable: what came of the step could not be written.
        """
        taking = self._take(rule, fn)
        if taking.before is not None:
            return taking.known()
        result = await self._run(taking, fn, args, kwargs)
        data = taking.codec.encode(result)
        await self._note(taking.place, Progress.DONE, data)
        return taking.codec.decode(data)

    async def settled(self) -> Committed | None:
        """Say how the work ended, where a transaction has committed that.

        Raises:
            StoreUnavailable: it was its owner's to commit, and the store is silent.
        """
        ledger = self.ledger
        if ledger.stage is Stage.COMPLETED:
            lease = self._lease
            record = await self._desk.look(
                lambda give_up_at: owners_commit(lease, give_up_at)
            )
            if record is not None:
                ledger.committed(record)
        return ledger.ending

    async def _run(
        self, taking: Taking, fn: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        rule, place = taking.rule, taking.place
        if not rule.safe:
            await self._begin(place)
        try:
            with at(in_step(self._lease, rule.name)):
                result = fn(*args, **kwargs)
                if inspect.isawaitable(result):
                    result = await result
        except rule.errors as error:
            if is_declared(error, rule.errors):
                await self._note(place, Progress.FAILED, error_value(error))
            raise
        return result

    def in_thread(self) -> Work:
        """Give the same work to a thread that this loop has started.

        Raises:
            ConfigurationError: this is a loop's thread, which may not wait.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return _InThread(self, self._desk)
        raise ConfigurationError(
            "current_work is for threads, and this is an event loop: call "
            "current_async_work, and await its steps."
        )

    async def _begin(self, place: int) -> None:
        try:
            await self._note(place, Progress.BEGUN)
        except BaseException:
            self._book.not_begun(place)
            raise

    async def _note(self, place: int, progress: Progress, value: bytes = b"") -> None:
        """Note it whatever cancels this task: the step has been taken."""
        await to_its_end(self._note_in_turn(place, progress, value))

    async def _note_in_turn(self, place: int, progress: Progress, value: bytes) -> None:
        async with self._turn:
            await self._write(self._step_note(place, progress, value))
            self._book.written()

    async def _refer_in_turn(self, text: str) -> None:
        async with self._turn:
            await self._write(self._reference_note(text))


class _InThread(Work):
    """Work of an event loop, in the hands of a thread that it has started."""

    def __init__(self, work: AsyncWork, desk: AsyncDesk) -> None:
        """Be *work*; *desk* reaches the store from this thread as well."""

        def look(flow: Callable[[float], Generator[Command, Any, Any]]) -> Any:
            return self._wait(desk.look(flow))

        near = Desk(desk.store.blocking(), desk.policy, desk.keep, look, desk.ending)
        lease, book = work._lease, work._book  # noqa: SLF001 - the same work
        super().__init__(lease, book, self._send, near)
        self.ledger = work.ledger
        self._work = work

    def _send(self, note: Note) -> None:
        raise AssertionError(note)  # written in the loop, each in its turn

    def _refer(self, text: str) -> None:
        self._wait(self._work._refer_in_turn(text))  # noqa: SLF001

    def _note(self, place: int, progress: Progress, value: bytes = b"") -> None:
        self._wait(self._work._note_in_turn(place, progress, value))  # noqa: SLF001

    def _wait(self, doing: Coroutine[Any, Any, R]) -> R:
        loop = self._work._loop  # noqa: SLF001 - the same work
        return asyncio.run_coroutine_threadsafe(doing, loop).result()


async def to_its_end(doing: Coroutine[Any, Any, R]) -> R:
    """Await *doing*; a cancellation is raised once that has ended."""
    task = asyncio.ensure_future(doing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # it has been asked for: the cancellation goes first
        raise


def current_async_work() -> AsyncWork:
    """Give the handle of the work that this task is at.

    Raises:
        ConfigurationError: it is at none, or at that of a thread.
    """
    place = current_place()
    if place is None or not isinstance(place.work, AsyncWork):
        raise ConfigurationError(
            "There is no guarded work in this task. Call this inside a function under "
            "guard.once or a guarded request; current_work is for threads. A request "
            "without a key is not guarded: Policy(required=True) refuses it."
        )
    return place.work
