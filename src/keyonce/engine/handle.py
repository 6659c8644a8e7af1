# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a handle on the work is, for threads and for event loops alike."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from keyonce.core.errors import ConfigurationError, LeaseLost
from keyonce.core.model import Note
from keyonce.core.steps import Progress
from keyonce.engine.current import current_place, downstream_key
from keyonce.engine.outcomes import Unsaid
from keyonce.engine.raised import error_of
from keyonce.engine.results import codec_of
from keyonce.engine.steps import StepUnclear, rule_of
from keyonce.engine.transaction import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Identity, Lease
    from keyonce.core.steps import Step
    from keyonce.engine.results import ResultCodec
    from keyonce.engine.steps import StepBook, StepRule

LONGEST_REFERENCE: Final = 255


class Taking(NamedTuple):
    """A step about to be taken, and what came of it before."""

    rule: StepRule
    codec: ResultCodec
    place: int
    before: Step | None

    def known(self) -> Any:
        """Give the recorded outcome of a step that was taken before.

        Raises:
            Exception: that is its outcome.
        """
        step = self.before
        if step is None:
            raise AssertionError(self.rule.name)
        if step.progress is Progress.FAILED:
            raise error_of(step.value, self.rule.errors)
        return self.codec.decode(step.value)


class Handle:
    """The work under one lease: whose it is, its steps, its downstream keys."""

    def __init__(self, lease: Lease, book: StepBook) -> None:
        """Begin, or go on where *book* ends."""
        self._lease = lease
        self._book = book
        self.ledger = Ledger(lease)

    @property
    def identity(self) -> Identity:
        """Whose key, for what."""
        return self._lease.identity

    @property
    def execution(self) -> int:
        """Which run of the work this is: 1, or more after an unclear end."""
        return self._lease.execution

    @property
    def connection(self) -> Any:
        """The connection that the open transaction of this work is on.

        Raises:
            ConfigurationError: no transaction is open.
        """
        if not self.ledger.is_open:
            raise ConfigurationError(
                "No transaction is open in this work: give the rule a connection=, or "
                "open one with work.transaction(connection)."
            )
        return self.ledger.connection

    def downstream_key(self, name: str = "") -> str:
        """Give the key for the outside call *name*: the same in every execution."""
        return downstream_key(self._lease, name)

    @property
    def unclear(self) -> bool:
        """Whether a step that is not safe to repeat has begun and not ended."""
        return self._book.unclear

    @property
    def refused(self) -> bool:
        """Whether a step was met whose end an earlier execution left unknown."""
        return self._book.refused

    def check_whole(self) -> None:
        """Refuse to end without a step that an earlier execution took.

        Raises:
            StepsChanged: naming the steps.
        """
        self._book.check_whole()

    def gone(self, reason: str) -> bool:
        """Hear that the lease is gone; say whether the work is in vain.

        Where nothing runs again, the real outcome counts after the limit as well.
        """
        in_vain = reason == "lost" or (
            reason == "work-limit" and self._lease.guarantee.runs_again
        )
        if in_vain:
            self._book.gone_for = reason
        return in_vain

    def _take(self, rule: str | StepRule, fn: Callable[..., Any]) -> Taking:
        """Look a step up before it runs."""
        rule = rule_of(rule)
        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise ConfigurationError(
                f"Step {rule.name!r} is a generator function: it has no one result to "
                "keep. Return a list, or step through the function that consumes it."
            )
        inside = current_place()
        if inside is not None and inside.step and inside.lease == self._lease:
            raise ConfigurationError(
                f"Step {rule.name!r} is taken inside step {inside.step!r}, which would "
                "not take it again. Take one after the other."
            )
        self.ledger.check_step(rule.name)
        if self._book.gone_for is not None:
            raise lost(self._book.gone_for)
        codec = rule.codec or codec_of(fn)
        return Taking(rule, codec, *self._book.meet(rule))

    def _outcome_given(self, value: Any, reference: str | None) -> Any:
        """Take the reference of an outcome; say what stands for its value.

        Raises:
            StepsChanged: it leaves out steps that an earlier execution took.
            StepUnclear: a step that is not safe to repeat has no known end.
        """
        self.check_whole()
        if self.unclear:
            raise StepUnclear(
                "The outcome of this work was given, and a step in it that is not safe "
                "to repeat has no known end: name in StepRule(errors=...) what it may "
                "raise."
            )
        if reference is not None:
            self._reference_note(reference)
            if self.ledger.is_open:
                self.ledger.refer(reference)
        if value is not Unsaid.NOTHING:
            return value
        if reference is None:
            raise ConfigurationError(
                "work.complete() was given nothing: give the answer, or a reference "
                "from which it is built."
            )
        return Unsaid.REBUILT

    def _step_note(self, place: int, progress: Progress, value: bytes) -> Note:
        frame = self._book.noting(place, progress, value)
        number = self._book.next_number()
        return Note(self.identity, self._lease.owner, frame, number=number)

    def _check_reference(self, text: str) -> None:
        self.ledger.check_reference()
        if not isinstance(text, str) or not 1 <= len(text) <= LONGEST_REFERENCE:
            raise ConfigurationError(
                "A reference is a text of 1 to "
                f"{LONGEST_REFERENCE} characters, such as the id of a charge."
            )

    def _reference_note(self, text: str) -> Note:
        number = self._book.next_number()
        return Note(self.identity, self._lease.owner, reference=text, number=number)


def lost(reason: str) -> LeaseLost:
    """Give the error of work whose lease is gone for *reason*."""
    if reason == "work-limit":
        return LeaseLost("The work ran past its work_limit, and the lease has ended.")
    return LeaseLost("Another worker has taken this key: stop here.")
