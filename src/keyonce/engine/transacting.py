# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A transaction of the author's, in which effect and outcome commit together."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keyonce.core.errors import NotCommitted
from keyonce.core.protocols import AfterCommit, EndedInside
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
    from collections.abc import Callable, Generator, Iterable
    from types import TracebackType

    from keyonce.core.model import Record
    from keyonce.core.policy import Policy
    from keyonce.core.protocols import JoiningStore, Transaction
    from keyonce.engine.commands import Command
    from keyonce.engine.outcomes import Keeps


@dataclass(slots=True)
class Desk:
    """What a transaction needs of the guard.

    *look* drives a flow until it is given up; *ending* says that the record will be
    closed any moment.
    """

    store: Any
    policy: Policy
    keep: Keeps
    look: Callable[[Callable[[float], Generator[Command, Any, Any]]], Any]
    ending: Callable[[], None]


class WorkTransaction:
    """The block in which an execution does all of its effect, and says its outcome.

    It begins a transaction where none is open on the connection, and ends that; one
    that is open is joined, and its owner commits. ``with`` gives the connection.
    """

    def __init__(self, desk: Desk, ledger: Ledger, connection: Any) -> None:
        """Use *connection*; nothing begins before the block."""
        self._desk = desk
        self._ledger = ledger
        self._connection = connection
        self._store: JoiningStore = joining(desk.store)
        self._transaction: Transaction = self._store.transaction(connection)
        self.ours = False

    def __enter__(self) -> Any:
        """Begin, or join.

        Raises:
            ConfigurationError: this is inside a step, or the work has one already.
            SafeToRetry: another program holds the file; the key will be free.
        """
        place = current_place()
        self._ledger.open(self, step="" if place is None else place.step)
        try:
            self.ours = not self._transaction.is_open()
            if self.ours:
                self._transaction.begin()
        except BaseException as error:
            self._undo()
            if self._transaction.repeats(error):
                raise conflict() from error
            raise
        self._ledger.connection = self._connection
        return self._connection

    def complete(
        self, value: Any, status: int | None, headers: Iterable[tuple[str, str]]
    ) -> None:
        """Put the outcome into the transaction.

        Raises:
            ConfigurationError: it was ended inside the block.
        """
        keep = self._desk.keep(value, status, headers)
        begun = self.ours and self._ledger.stage is Stage.OPEN
        if begun and not self._transaction.is_open():
            raise ended_early()
        command = self._ledger.completion(keep, self._desk.policy.terms)
        self._desk.ending()
        joined = self._store.joined(self._connection)
        self._ledger.completed(joined.complete(command))

    def __exit__(
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
            self._end(error)
        except BaseException as failure:
            self._ledger.failure = failure
            raise

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            if isinstance(error, EndedInside):
                self._ledger.failure = error  # whatever a framework makes of it
            self._undo()
            if self._transaction.repeats(error):
                raise conflict(undone=self.ours) from error
            return
        try:
            self._ledger.check_completed()
        except NotCommitted as without:
            early = self.ours and not self._transaction.is_open()
            self._undo()
            if early:
                raise ended_early() from without
            raise
        if self.ours:
            self._commit()

    def _commit(self) -> None:
        try:
            self._transaction.commit()
        except AfterCommit as after:
            self._ledger.committed()
            raise after.__cause__ or after from None
        except BaseException as error:
            self._failed(error)
            if not isinstance(error, Exception):
                raise
        else:
            self._ledger.committed()

    def _failed(self, error: BaseException) -> None:
        """Find out what came of a commit that failed; return when it took effect."""
        lease, ended = self._ledger.lease, isinstance(error, EndedInside)
        look = outcome_of_ended if ended else unclear_commit
        self._undo()  # whatever is still open would be in the way
        if self._transaction.repeats(error):
            raise conflict() from error
        record: Record | None = self._desk.look(
            lambda give_up_at: look(lease, give_up_at)
        )
        if record is None:
            raise error
        self._ledger.committed(record)

    def _undo(self) -> None:
        if self.ours:
            with suppress(Exception):  # what came first says more
                self._transaction.rollback()
            self._ledger.closed()
        elif self._ledger.record is None:
            self._ledger.closed()
