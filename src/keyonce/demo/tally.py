# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a storm: the shop's ledger beside what the clients noted."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from keyonce.demo.ledger import Effect
    from keyonce.demo.plan import Operation
    from keyonce.demo.storm import Attempt, Notes

CONFLICT = 409
MISMATCH = 422


@dataclass(frozen=True, slots=True)
class Figures:
    """What one side of the storm came to.

    - *attempts* are requests sent, *answers* those that came back whole.
    - *effects* are rows of the ledger, *double_effects* those beyond the first
      of their operation; so effects = (operations - never_ran) + double_effects.
    - *lost_effects* are operations that a client was told are done and that left
      no effect; *never_ran* are all that left none.
    - *different_answers* are bodies of successful answers beyond the one that
      each key and payload may have.
    - *replays*, *conflicts* (409) and *mismatches* (422) are answers.
    - *unknown* are operations of which a client was told that nobody can say
      whether they were done; *unanswered* are those that no client got any clear
      answer about.
    - *p50* and *p99* are seconds from sending to the last byte of an answer,
      *rate* is attempts a second over *seconds*.
    - *strikes* are processes killed.
    """

    operations: int
    attempts: int
    answers: int
    effects: int
    double_effects: int
    lost_effects: int
    never_ran: int
    different_answers: int
    replays: int
    conflicts: int
    mismatches: int
    unknown: int
    unanswered: int
    p50: float
    p99: float
    rate: float
    seconds: float
    strikes: int


def tally(
    schedule: Sequence[Operation], notes: Notes, effects: Collection[Effect]
) -> Figures:
    """Count what *notes* and *effects* say of *schedule*."""
    done = Counter(effect.operation for effect in effects)
    names = {operation.name for operation in schedule}
    told = {one.operation for one in notes.attempts if one.succeeded}
    unknown = {one.operation for one in notes.attempts if one.code == "outcome-unknown"}
    answered = [one for one in notes.attempts if one.status is not None]
    took = sorted(one.took for one in answered)
    statuses = Counter(one.status for one in answered)
    return Figures(
        operations=len(schedule),
        attempts=len(notes.attempts),
        answers=len(answered),
        effects=len(effects),
        double_effects=sum(times - 1 for times in done.values()),
        lost_effects=len(told - done.keys()),
        never_ran=len(names - done.keys()),
        different_answers=_different(notes.attempts),
        replays=sum(one.replayed for one in answered),
        conflicts=statuses[CONFLICT],
        mismatches=statuses[MISMATCH],
        unknown=len(unknown),
        unanswered=len(names - told - unknown),
        p50=_percentile(took, 0.50),
        p99=_percentile(took, 0.99),
        rate=len(notes.attempts) / notes.seconds,
        seconds=notes.seconds,
        strikes=notes.strikes,
    )


def shortcomings(bare: Figures, guarded: Figures, strikes: int) -> list[str]:
    """Say, one sentence each, why the demo has not shown what it promises.

    *strikes* is how many processes each side was to lose. The guarded side must
    keep the promise; and the storm must have been one, or it proves nothing.
    """
    checks = (
        (guarded.double_effects == 0, "The guarded side had double effects."),
        (guarded.lost_effects == 0, "The guarded side confirmed what was not done."),
        (guarded.different_answers == 0, "The guarded side gave different answers."),
        (guarded.unanswered == 0, "The guarded side left operations unanswered."),
        (_mostly_done(guarded), "The guarded side did not get its work done."),
        (guarded.replays > 0, "The guarded side replayed nothing."),
        (bare.double_effects > 0, "The bare side had no double effect: no storm."),
        (
            bare.strikes == strikes == guarded.strikes,
            "A process that was to be killed was not.",
        ),
    )
    return [sentence for kept, sentence in checks if not kept]


def _mostly_done(figures: Figures) -> bool:
    """Whether at least three operations of four left their effect."""
    return figures.never_ran * 4 <= figures.operations


def _different(attempts: Iterable[Attempt]) -> int:
    """Count the bodies beyond the first of their key and payload."""
    digests: dict[tuple[str, int], set[bytes]] = defaultdict(set)
    for one in attempts:
        if one.succeeded:
            digests[one.key, one.amount].add(one.digest)
    return sum(len(found) - 1 for found in digests.values())


def _percentile(ordered: Sequence[float], share: float) -> float:
    """Give the nearest-rank percentile of *ordered*, 0 when it is empty."""
    return ordered[ceil(share * len(ordered)) - 1] if ordered else 0.0
