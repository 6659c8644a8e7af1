# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A handler's handle on the work it does, for threads."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from keyonce.core.errors import ConfigurationError
from keyonce.core.steps import Progress
from keyonce.engine.current import at, current_place, in_step
from keyonce.engine.handle import Handle
from keyonce.engine.outcomes import Unsaid
from keyonce.engine.raised import error_value, is_declared
from keyonce.engine.transacting import WorkTransaction
from keyonce.engine.transaction import Stage, owners_commit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from keyonce.core.ending import Committed
    from keyonce.core.model import Lease, Note
    from keyonce.engine.handle import Taking
    from keyonce.engine.steps import StepBook, StepRule
    from keyonce.engine.transacting import Desk

P = ParamSpec("P")
R = TypeVar("R")


class Work(Handle):
    """The work under one lease: its steps, its reference, its downstream keys.

    *write* notes something in the record, and raises where the lease is lost.
    """

    def __init__(
        self,
        lease: Lease,
        book: StepBook,
        write: Callable[[Note], None],
        desk: Desk,
    ) -> None:
        """Begin, or go on where *book* ends; *desk* is for transactions."""
        super().__init__(lease, book)
        self._write = write
        self._desk = desk
        self._turn = threading.Lock()  # of notes: each holds or follows the last

    def reference(self, text: str) -> None:
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
        self._refer(text)

    def transaction(self, connection: Any) -> WorkTransaction:
        """Give the block in which effect and outcome commit together.

        *connection* leads to the store's own database, by a driver or by SQLAlchemy.
        Where no transaction is open on it, the block begins one and commits it; one
        that is open is joined, and the commit is its owner's.

        Raises:
            ConfigurationError: the store or the connection cannot do that.
        """
        return WorkTransaction(self._desk, self.ledger, connection)

    def complete(
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
        self.ledger.block.complete(given, status, headers)

    def step(
        self,
        rule: str | StepRule,
        fn: Callable[P, R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Call *fn* once and keep what it returns; give that to later executions.

        *rule* is the step's name, or a StepRule where the name does not say enough.
        The first caller, too, gets the stored copy. Steps are known again by the
        order in which they are called: call them from one thread.

        Raises:
            StepsChanged: an earlier execution took another step here.
            OutcomeUnknown: a step that is not safe to repeat has no known end.
            ResultNotEncodable: what *fn* returned cannot be stored.
            LeaseLost: the key is somebody else's by now: stop.
            StoreUnavailable: what came of the step could not be written.
        """
        if inspect.iscoroutinefunction(fn):
            raise _is_a_coroutine(rule)
        taking = self._take(rule, fn)
        if taking.before is not None:
            known: R = taking.known()
            return known
        result = self._run(taking, fn, args, kwargs)
        data = taking.codec.encode(result)
        self._note(taking.place, Progress.DONE, data)
        copy: R = taking.codec.decode(data)
        return copy

    def settled(self) -> Committed | None:
        """Say how the work ended, where a transaction has committed that.

        Raises:
            StoreUnavailable: it was its owner's to commit, and the store is silent.
        """
        ledger = self.ledger
        if ledger.stage is Stage.COMPLETED:
            lease = self._lease
            record = self._desk.look(
                lambda give_up_at: owners_commit(lease, give_up_at)
            )
            if record is not None:
                ledger.committed(record)
        return ledger.ending

    def _run(self, taking: Taking, fn: Callable[..., R], args: Any, kwargs: Any) -> R:
        rule, place = taking.rule, taking.place
        if not rule.safe:
            self._begin(place)
        try:
            with at(in_step(self._lease, rule.name)):
                result = fn(*args, **kwargs)
        except rule.errors as error:
            if is_declared(error, rule.errors):
                self._note(place, Progress.FAILED, error_value(error))
            raise
        if inspect.iscoroutine(result):
            result.close()
            self._book.not_begun(place)
            raise _is_a_coroutine(rule)
        return result

    def _begin(self, place: int) -> None:
        try:
            self._note(place, Progress.BEGUN)
        except BaseException:
            self._book.not_begun(place)
            raise

    def _refer(self, text: str) -> None:
        with self._turn:
            self._write(self._reference_note(text))

    def _note(self, place: int, progress: Progress, value: bytes = b"") -> None:
        with self._turn:
            self._write(self._step_note(place, progress, value))
            self._book.written()


def _is_a_coroutine(rule: str | StepRule) -> ConfigurationError:
    name = rule if isinstance(rule, str) else rule.name
    return ConfigurationError(
        f"Step {name!r} is a coroutine function, and this is a thread: give a plain "
        "function, or take the step on the event loop with current_async_work."
    )


def current_work() -> Work:
    """Give the handle of the work that this thread is at.

    Also in a thread that an event loop has started with a copy of its context, as
    ``asyncio.to_thread`` and the frameworks do for handlers that are no coroutines.

    Raises:
        ConfigurationError: it is at none, or on an event loop.
    """
    place = current_place()
    work = None if place is None else place.work
    if work is not None and not isinstance(work, Work):
        work = work.in_thread()
    if work is None:
        raise ConfigurationError(
            "There is no guarded work in this thread. Call this inside a function "
            "under guard.once or a guarded request; on an event loop, "
            "current_async_work. A request without a key is not guarded: "
            "Policy(required=True) refuses it."
        )
    return work
