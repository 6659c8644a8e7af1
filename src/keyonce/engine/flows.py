# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The logic of the guard, written once: begin, wait, finish.

A flow yields commands and gets their answers; it performs nothing itself and
never runs an author's code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.core.decide import Incomparable, InFlight, decide
from keyonce.core.ending import Free, Keep, Unclear
from keyonce.core.errors import StoreUnavailable
from keyonce.core.model import Claim, Completion
from keyonce.core.states import Status
from keyonce.engine.commands import (
    AbandonKey,
    AwaitNews,
    ClaimKey,
    CompleteKey,
    FindKey,
    Hear,
    NewToken,
    Now,
    ReleaseKey,
    Sleep,
    Tell,
)
from keyonce.engine.finished import Finished, Freed, Lost, Parked, Stored, Unrecorded

if TYPE_CHECKING:
    from collections.abc import Generator

    from keyonce.core.decide import Decision
    from keyonce.core.ending import Ending
    from keyonce.core.model import Attempt, Claimed, Fingerprint, Lease, Record
    from keyonce.core.policy import Terms
    from keyonce.engine.commands import Command, StoreCommand
    from keyonce.engine.flight import Seat

FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5


def begin(
    attempt: Attempt,
    terms: Terms,
    *,
    seat: Seat,
    wait_for: float,
    store_timeout: float,
) -> Generator[Command, Any, Decision]:
    """Ask whether *attempt* may do the work, waiting up to *wait_for* seconds."""
    started: float = yield Now()
    pause = FIRST_PAUSE
    while True:
        seen = seat.flight.version
        if seat.leads:
            decision = yield from lead(attempt, terms, seat, store_timeout)
        else:
            decision = yield from follow(attempt, seat, store_timeout)
        if decision is None:
            continue
        if not isinstance(decision, InFlight):
            return decision
        now: float = yield Now()
        left = started + wait_for - now
        if left <= 0:
            return decision
        if seat.leads:
            yield Sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            yield AwaitNews(seat, seen, left)


def lead(
    attempt: Attempt,
    terms: Terms,
    seat: Seat,
    store_timeout: float,
) -> Generator[Command, Any, Decision]:
    """Claim at the store, tell the other seats, and decide."""
    owner: bytes = yield NewToken()
    fingerprint = attempt.fingerprint
    witnessed: float | None = None
    while True:
        command = _claim(attempt, fingerprint, owner, terms, witnessed)
        claimed: Claimed = yield from insist(ClaimKey(command), store_timeout)
        yield Tell(seat, claimed)
        decision, fingerprint = compare(claimed, attempt, fingerprint, owner)
        if not isinstance(decision, InFlight) or not decision.ended:
            return decision
        if witnessed == claimed.record.lease_until:
            return decision
        yield Sleep(courtesy(claimed.record))
        witnessed = claimed.record.lease_until


def follow(
    attempt: Attempt, seat: Seat, store_timeout: float
) -> Generator[Command, Any, Decision | None]:
    """Decide on the leader's news; None when this seat is to lead instead."""
    started: float = yield Now()
    now = started
    while not seat.leads:
        news: Claimed | None = yield Hear(seat)
        if news is not None:
            return compare(news, attempt, attempt.fingerprint, b"")[0]
        left = started + 2 * store_timeout - now
        if left <= 0:
            message = "The store did not answer the attempt that came before."
            raise StoreUnavailable(message)
        yield AwaitNews(seat, 0, left)
        now = yield Now()
    return None


def _claim(
    attempt: Attempt,
    fingerprint: Fingerprint,
    owner: bytes,
    terms: Terms,
    witnessed: float | None,
) -> Claim:
    return Claim(
        identity=attempt.identity,
        owner=owner,
        fingerprint=fingerprint,
        guarantee=terms.guarantee,
        lease_for=terms.lease_for,
        max_crashes=terms.max_crashes,
        witnessed=witnessed,
        field_map=attempt.field_map,
    )


def compare(
    claimed: Claimed, attempt: Attempt, fingerprint: Fingerprint, owner: bytes
) -> tuple[Decision, Fingerprint]:
    """Decide under the record's own scheme, whatever ours is today.

    Gives the fingerprint that the next claim has to carry as well.
    """
    decision = decide(claimed.record, fingerprint, owner, claimed.now)
    theirs = claimed.record.fingerprint
    if not isinstance(decision, Incomparable) or theirs is None:
        return decision, fingerprint
    same_scheme = attempt.under(theirs.scheme)
    if same_scheme is None:
        return decision, fingerprint
    return decide(claimed.record, same_scheme, owner, claimed.now), same_scheme


def courtesy(record: Record) -> float:
    """How long a claimant lets a live owner renew before it ends the lease."""
    return min(1.0, record.lease_for / 3)


def insist(
    command: StoreCommand, give_up_after: float
) -> Generator[Command, Any, Any]:
    """Repeat *command* while the store does not answer, for so many seconds.

    Raises:
        StoreUnavailable: it did not answer in time.
    """
    started: float = yield Now()
    pause = FIRST_PAUSE
    while True:
        failure = None
        try:
            return (yield command)
        except StoreUnavailable as unavailable:
            failure = unavailable
        now: float = yield Now()
        if now + pause - started >= give_up_after:
            raise failure
        yield Sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def finish(
    lease: Lease, ending: Ending, terms: Terms, *, store_timeout: float
) -> Generator[Command, Any, Finished]:
    """Write how the execution ended; never free a key because that failed."""
    command = ending_command(lease, ending, terms)
    try:
        answer = yield from insist(command, store_timeout)
    except StoreUnavailable:
        return Unrecorded()
    match command:
        case CompleteKey():
            return completed(lease, answer)
        case ReleaseKey():
            return Freed() if answer else Lost(None)
        case _:
            return Parked() if answer else Lost(None)


def ending_command(
    lease: Lease, ending: Ending, terms: Terms
) -> CompleteKey | ReleaseKey | AbandonKey:
    """Say which store command carries *ending* out, under the lease's guarantee."""
    retention_for = terms.retention_for
    match ending:
        case Keep(result, override, reference):
            kept_for = retention_for if override is None else override
            completion = Completion(
                identity=lease.identity,
                owner=lease.owner,
                result=result,
                retention_for=kept_for,
                late_for=terms.late_for,
                reference=reference,
            )
            return CompleteKey(completion)
        case Free(reason):
            return ReleaseKey(lease.identity, lease.owner, reason, retention_for)
        case Unclear(reason):
            if lease.guarantee.runs_again:
                return ReleaseKey(lease.identity, lease.owner, reason, retention_for)
            return AbandonKey(lease.identity, lease.owner, reason)


def completed(lease: Lease, record: Record | None) -> Stored | Lost:
    """Say whether the record that came back is this lease's own outcome."""
    if (
        record is not None
        and record.owner == lease.owner
        and record.status is Status.COMPLETED
    ):
        return Stored(record)
    return Lost(record)


def winner(
    lease: Lease, *, wait_for: float
) -> Generator[Command, Any, Record | None]:
    """Wait for the outcome of whoever took the key from *lease*.

    None when there is none within *wait_for* seconds.
    """
    started: float = yield Now()
    pause = FIRST_PAUSE
    while True:
        try:
            found: Claimed | None = yield FindKey(lease.identity)
        except StoreUnavailable:
            return None
        if found is not None and found.record.status is Status.COMPLETED:
            return found.record
        now: float = yield Now()
        settled = found is None or found.record.status is not Status.IN_PROGRESS
        if settled or now + pause - started >= wait_for:
            return None
        yield Sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
