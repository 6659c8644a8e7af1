# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of the steps of one execution, and what is noted of the next."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import (
    ConfigurationError,
    OutcomeUnknown,
    ResultNotEncodable,
    StepsChanged,
)
from keyonce.core.steps import Progress, Step, Steps, read_steps, write_steps

if TYPE_CHECKING:
    from keyonce.core.model import Fingerprint, Lease
    from keyonce.engine.results import ResultCodec

MOST: Final = 1024 * 1024  # bytes of all steps of one key


@dataclass(frozen=True, slots=True)
class StepRule:
    """How one step behaves, where its name alone does not say enough.

    A step that is *safe* may be begun again after an unclear end: what it calls
    deduplicates by the downstream key, or does no harm twice. One that is not is
    noted before it begins, and the key is parked as unknown where it did not come
    to an end. Exceptions of the classes in *errors* are its outcome: they are
    recorded, and raised again instead of running it. *codec* turns its result into
    bytes; without one the annotation of the function chooses.

    Raises:
        ConfigurationError: the name is empty, or *errors* are no exceptions.
    """

    name: str
    safe: bool = True
    errors: tuple[type[Exception], ...] = ()
    codec: ResultCodec | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work before anything runs."""
        if not isinstance(self.name, str) or not self.name:
            raise ConfigurationError(
                f"A step is called {self.name!r}: give it a name of its own, such as "
                "'charge'. It is found again by it."
            )
        check_errors(f"Step {self.name!r}", self.errors)


def rule_of(rule: str | StepRule) -> StepRule:
    """Give the rule that a step's bare name stands for."""
    return rule if isinstance(rule, StepRule) else StepRule(rule)


def check_errors(whose: str, errors: object) -> None:
    """Refuse what is no tuple of exception classes."""
    fits = isinstance(errors, tuple) and all(
        isinstance(kind, type) and issubclass(kind, Exception) for kind in errors
    )
    if not fits:
        raise ConfigurationError(
            f"{whose}: errors is a tuple of exception classes, such as "
            f"(CardDeclined,), not {errors!r}."
        )


class StepUnclear(OutcomeUnknown):
    """A step that is not safe to repeat was begun, and nobody knows its end."""


class StepBook:
    """The steps of one key: those taken before, and those of this execution.

    Steps may be met from several threads; what is noted has to be written one
    after the other, since each frame holds all steps. *gone_for* is why the lease
    is gone, if it is: then no step is taken any more. *refused* says that a step was
    met whose end an earlier execution left unknown.
    """

    gone_for: str | None = None
    refused = False

    def __init__(self, lease: Lease, request: Fingerprint) -> None:
        """Go on where the execution before *lease* left off.

        Raises:
            RecordUnreadable: what it noted cannot be read.
        """
        before = read_steps(lease.steps)
        self._request = request if before is None else before.fingerprint
        self._taken = [] if before is None else list(before.taken)
        if not lease.crashes:  # ended by its word, or an operator's: no doubt is left
            self._taken = [_without_doubt(step) for step in self._taken]
        self._before = len(self._taken)
        self._names: set[str] = set()
        self._unwritten = False
        self._turn = threading.Lock()
        self._notes = count(1)

    def next_number(self) -> int:
        """Give the number of the owner's next note."""
        return next(self._notes)

    def meet(self, rule: StepRule) -> tuple[int, Step | None]:
        """Say at which place this step stands, and what came of it before.

        None where it has to run.

        Raises:
            StepsChanged: another step stood there, or the name was met already.
            StepUnclear: it was begun, is not safe to repeat, and has no known end.
        """
        with self._turn:
            place = self._place_of(rule.name)
            if place == len(self._taken):
                self._taken.append(Step(rule.name, Progress.CALLED))
            step = self._taken[place]
        if step.progress in (Progress.DONE, Progress.FAILED):
            return place, step
        if step.progress is Progress.BEGUN:
            self.refused = True
            raise StepUnclear(
                f"Step {rule.name!r} was begun by a worker that vanished, and it is "
                "not safe to repeat. Somebody has to look, then resolve or release "
                "the key."
            )
        return place, None

    def _place_of(self, name: str) -> int:
        if name in self._names:
            raise StepsChanged(
                f"Two steps of one execution are called {name!r}: a step is found "
                "again by its name. Give each its own, such as 'charge-2'."
            )
        place = len(self._names)
        if place < self._before and self._taken[place].name != name:
            raise StepsChanged(
                f"Step {place + 1} is {name!r}, and an earlier execution of this key "
                f"took {self._taken[place].name!r} there. Finish the keys under way "
                "with the code they began with, or resolve them with 'keyonce keys'."
            )
        self._names.add(name)
        return place

    @property
    def unclear(self) -> bool:
        """Whether a step that is not safe to repeat has begun and not ended.

        An end that may not stand in the record is none: a later execution would not
        find it.
        """
        if self._unwritten:
            return True
        return any(step.progress is Progress.BEGUN for step in self._taken)

    def check_whole(self) -> None:
        """Refuse an end that leaves recorded steps out.

        Raises:
            StepsChanged: an earlier execution took steps that this one did not.
        """
        left = [step.name for step in self._taken[len(self._names) : self._before]]
        if left:
            raise StepsChanged(
                f"An earlier execution of this key took the steps {', '.join(left)}, "
                "and this one ends without them. Finish the keys under way with the "
                "code they began with, or resolve them with 'keyonce keys'."
            )

    def noting(self, place: int, progress: Progress, value: bytes = b"") -> bytes:
        """Give the frame in which the step at *place* has got that far.

        Raises:
            ResultNotEncodable: the steps of this key have grown too large.
        """
        with self._turn:
            taken = list(self._taken)
            was = taken[place].progress
            taken[place] = Step(taken[place].name, progress, value)
            frame = write_steps(Steps(self._request, tuple(taken)))
            if len(frame) > MOST:
                raise ResultNotEncodable(
                    f"With step {taken[place].name!r} the results of the steps of one "
                    f"key are over {MOST} bytes. Return from a step what the next "
                    "ones need, such as an id."
                )
            self._taken = taken
            self._unwritten |= was is Progress.BEGUN
        return frame

    def written(self) -> None:
        """Hear that the latest frame stands in the record."""
        self._unwritten = False

    def not_begun(self, place: int) -> None:
        """Take back that the step at *place* begins: it never came to run."""
        with self._turn:
            self._taken[place] = Step(self._taken[place].name, Progress.CALLED)


def _without_doubt(step: Step) -> Step:
    if step.progress is Progress.BEGUN:
        return Step(step.name, Progress.CALLED)
    return step
