# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The way out of an unknown outcome: what an author's hook is asked, and answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keyonce.core.downstream import derived_key
from keyonce.core.steps import Progress, read_steps

if TYPE_CHECKING:
    from keyonce.core.guarantee import Guarantee
    from keyonce.core.model import Identity, Record


@dataclass(frozen=True, slots=True)
class UnknownWork:
    """Work that began and of which nobody knows whether it was done.

    *execution* is the run that came to an unclear end, *reason* how it did.
    *unknown_for* says for how many seconds: what was sent just before may still be
    under way. *reference* is what the work noted of its effect. *finished* names the
    steps that have an end, *unfinished* those that were begun and have none.
    """

    identity: Identity
    guarantee: Guarantee
    execution: int
    born_at: float
    unknown_for: float = 0.0
    reason: str = ""
    reference: str | None = None
    finished: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()

    def downstream_key(self, name: str = "") -> str:
        """Give the key that the work sent with its outside call *name*."""
        return derived_key(self.identity, self.born_at, name)


@dataclass(frozen=True, slots=True)
class CompletedWith:
    """It was done, and *result* is what every later attempt gets.

    For a guarded function, what it would have returned; for a request, a
    StoredResult (``json_answer`` makes one).
    """

    result: Any


@dataclass(frozen=True, slots=True)
class NeverHappened:
    """It was not done and never will be by that execution: the next attempt runs."""


@dataclass(frozen=True, slots=True)
class StillUnknown:
    """Nobody knows yet: ask again later."""


ReconcileAnswer = CompletedWith | NeverHappened | StillUnknown
Reconcile = Callable[[UnknownWork], ReconcileAnswer | Awaitable[ReconcileAnswer]]


def unknown_work(record: Record, now: float) -> UnknownWork:
    """Give what a hook may know of *record*, which is unknown at *now*.

    Raises:
        RecordUnreadable: the steps that it noted cannot be read.
    """
    steps = read_steps(record.steps)
    taken = () if steps is None else steps.taken
    over = (Progress.DONE, Progress.FAILED)
    since = record.lease_until if record.ended_at is None else record.ended_at
    return UnknownWork(
        identity=record.identity,
        guarantee=record.guarantee,
        execution=record.executions,
        born_at=record.created_at,
        unknown_for=max(0.0, now - since),
        reason=record.reason or "lease-ended",
        reference=record.reference,
        finished=tuple(step.name for step in taken if step.progress in over),
        unfinished=tuple(step.name for step in taken if step.progress not in over),
    )
