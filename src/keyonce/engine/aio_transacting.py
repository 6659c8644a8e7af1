# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A transaction of the author's, for event loops: the twin of `transacting`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from keyonce.core.errors import NotCommitted
from keyonce.core.protocols import EndedInside
from keyonce.engine.current import current_place
from keyonce.engine.transaction import (
    Ledger,
    Stage,
    conflict,
    ended_early,
    joining,
    outcome_of_ended,
    unclear_commit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable
    from types import TracebackType

    from keyonce.core.model import Record
    from keyonce.core.policy import Policy
    from keyonce.core.protocols import AsyncJoiningStore, AsyncTransaction
    from keyonce.engine.commands import Command
    from keyonce.engine.outcomes import Keeps

R = TypeVar("R")


@dataclass(slots=True)
class AsyncDesk:
    """What a transaction needs of the guard.

    *look* drives a flow until it is given up; *ending* says that the record will be
    closed any moment.
    """

    store: Any
    policy: Policy
    keep: Keeps
    look: Callable[
        [Callable[[float], Generator[Command, Any, Any]]], Coroutine[Any, Any, Any]
    ]
    ending: Callable[[], None]


class AsyncWorkTransaction:
    """WorkTransaction for event loops.

    When cancelled, a begin is carried through and undone, a commit carried through.
    """

    def __init__(self, desk: AsyncDesk, ledger: Ledger, connection: Any) -> None:
        """Use *connection*; nothing begins before the block."""
        self._desk = desk
        self._ledger = ledger
        self._connection = connection
        self._store: AsyncJoiningStore = joining(desk.store)
        self._transaction: AsyncTransaction = self._store.transaction(connection)
        self.ours = False

    async def __aenter__(self) -> Any:
        """Begin, or join.

        Raises:
            ConfigurationError: this is inside a step, or the work has one already.
            SafeToRetry: another program holds the file; the key will be free.
        """
        place = current_place()
        self._ledger.open(self, step="" if place is None else place.step)
        try:
            self.ours = not await self._transaction.is_open()
            if self.ours:
                await uninterrupted(self._transaction.begin())
        except BaseException as error:
            await self._undo()
            if self._transaction.repeats(error):
                raise conflict() from error
            raise
        self._ledger.connection = self._connection
        return self._connection

    async def complete(
        self, value: Any, status: int | None, headers: Iterable[tuple[str, str]]
    ) -> None:
        """Put the outcome into the transaction.

        Raises:
            ConfigurationError: it was ended inside the block.
        """
        keep = self._desk.keep(value, status, headers)
        begun = self.ours and self._ledger.stage is Stage.OPEN
        if begun and not await self._transaction.is_open():
            raise ended_early()
        command = self._ledger.completion(keep, self._desk.policy.terms)
        self._desk.ending()
        joined = self._store.joined(self._connection)
        self._ledger.completed(await joined.complete(command))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit what began here, or undo it.

        Raises:
            NotCommitted: there is no outcome; nothing was committed.
            ConfigurationError: it was ended inside the block.
            SafeToRetry: others got in the way; all is undone.
            OutcomeUnknown: nobody can say whether the commit took effect.
        """
        try:
            await self._end(error)
        except BaseException as failure:
            self._ledger.failure = failure
            raise

    async def _end(self, error: BaseException | None) -> None:
        if error is not None:
            if isinstance(error, EndedInside):
                self._ledger.failure = error  # whatever a framework makes of it
            await self._undo()
            if self._transaction.repeats(error):
                raise conflict(undone=self.ours) from error
            return
        try:
            self._ledger.check_completed()
        except NotCommitted as without:
            early = self.ours and not await self._transaction.is_open()
            await self._undo()
            if early:
                raise ended_early() from without
            raise
        if self.ours:
            await self._commit()

    async def _commit(self) -> None:
        try:
            await uninterrupted(self._transaction.commit())
        except BaseException as error:
            await self._failed(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._ledger.committed()

    async def _failed(self, error: BaseException) -> None:
        """Find out what came of a commit that failed; return when it took effect."""
        lease, ended = self._ledger.lease, isinstance(error, EndedInside)
        look = outcome_of_ended if ended else unclear_commit
        await self._undo()  # whatever is still open would be in the way
        if self._transaction.repeats(error):
            raise conflict() from error
        record: Record | None = await uninterrupted(
            self._desk.look(lambda give_up_at: look(lease, give_up_at))
        )
        if record is None:
            raise error
        self._ledger.committed(record)

    async def _undo(self) -> None:
        if self.ours:
            with suppress(Exception):  # what came first says more
                await uninterrupted(self._transaction.rollback())
            self._ledger.closed()
        elif self._ledger.record is None:
            self._ledger.closed()


async def uninterrupted(work: Coroutine[Any, Any, R]) -> R:
    """Carry *work* to its end; whoever cancels this meanwhile is heard after it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except BaseException:  # noqa: BLE001, S110 - it is the task's, and raised below
            pass
    answer = task.result()
    if cancelled is not None:
        raise cancelled
    return answer
