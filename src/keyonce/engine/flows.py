# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The logic of the guard, written once: begin, wait, finish.

A flow yields commands and gets their answers; it performs nothing itself and
never runs an author's code.
"""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.decide import Incomparable, InFlight, Mismatch, Proceed, decide
from keyonce.core.ending import Committed, Free, Keep, Park, Unclear
from keyonce.core.errors import (
    ConfigurationError,
    LeaseLost,
    RecordUnreadable,
    StoreUnavailable,
)
from keyonce.core.model import Claim, Completion, Lease, Note, Settlement
from keyonce.core.states import Status
from keyonce.core.steps import Progress, read_steps
from keyonce.core.transitions import grace
from keyonce.engine.commands import (
    AbandonKey,
    AnnounceEnd,
    AwaitEnd,
    AwaitNews,
    ClaimKey,
    CompleteKey,
    FindKey,
    Hear,
    Hearken,
    LetGo,
    NewToken,
    NoteKey,
    Now,
    ReleaseKey,
    SettleKey,
    Sleep,
    Tell,
    Waits,
)
from keyonce.engine.finished import Finished, Freed, Lost, Parked, Stored, Unrecorded

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from keyonce.core.decide import Decision
    from keyonce.core.ending import Ending
    from keyonce.core.model import Attempt, Claimed, Fingerprint, Identity, Record
    from keyonce.core.policy import Terms
    from keyonce.engine.commands import Command, LateCommand, StoreCommand
    from keyonce.engine.flight import Seat

NOBODY: Final = b""
FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5
ANNOUNCEMENTS: Final = 5  # tries for each owner, some records are kept locked
RARELY: Final = 5.0  # between two looks of whoever would hear the news


def begin(
    attempt: Attempt,
    terms: Terms,
    *,
    seat: Seat,
    owner: bytes,
    now: float,
    wait_for: float,
    store_timeout: float,
) -> Generator[Command, Any, Decision]:
    """Ask whether *attempt* may do the work, waiting up to *wait_for* seconds."""
    give_up_at = now + store_timeout
    patient_until = now + wait_for
    waiting: Waiting | None = None
    decision: Decision | None
    while True:
        seen = seat.flight.version
        if seat.leads:
            decision = yield from lead(attempt, terms, seat, owner, give_up_at)
        else:
            decision = yield from follow(attempt, seat, give_up_at)
        if decision is None:
            continue
        if wait_for <= 0 or not isinstance(decision, InFlight):
            return decision
        now = yield Now()
        left = patient_until - now
        if left <= 0:
            return decision
        if waiting is None:
            waiting = Waiting()
            yield Waits(seat)
        if seat.leads:
            waited = yield from await_end(seat, decision.record, left, waiting)
        else:
            waited = yield AwaitNews(seat, seen, left)
        if not waited:
            return decision
        owner = yield NewToken()
        give_up_at = patient_until + store_timeout


def begin_each(
    attempts: Sequence[Attempt],
    terms: Terms,
    *,
    seats: Sequence[Seat],
    owners: Sequence[bytes],
    now: float,
    store_timeout: float,
) -> list[Generator[Command, Any, Decision]]:
    """Give the flow that begins each of *attempts*, without waiting for others."""
    return [
        begin(
            attempt,
            terms,
            seat=seat,
            owner=owner,
            now=now,
            wait_for=0.0,
            store_timeout=store_timeout,
        )
        for attempt, seat, owner in zip(attempts, seats, owners, strict=True)
    ]


@dataclass(slots=True)
class Waiting:
    """How a leader waits: its next pause, for whom, and whether it will be told."""

    pause: float = FIRST_PAUSE
    owner: bytes = NOBODY
    announced: bool = False
    tries: int = 0

    def on(self, owner: bytes) -> None:
        """Wait for *owner*; another one than before has to be announced anew."""
        if owner != self.owner:
            self.owner, self.announced, self.tries = owner, False, ANNOUNCEMENTS


def await_end(
    seat: Seat, record: Record, left: float, waiting: Waiting
) -> Generator[Command, Any, bool]:
    """Wait for another process to end the work under *record*, or for a while.

    Where the store announces that end, for long: until the lease may be ended.
    False when too many wait already.
    """
    hears: bool | None = yield Hearken(seat)
    if hears is None:
        return False
    lasts_for = _lease_left(seat, record)
    waiting.on(record.owner)
    if hears and lasts_for > 0:
        if not waiting.announced and waiting.tries > 0:
            waiting.tries -= 1
            waiting.announced = yield from _announced(record)
        if waiting.announced:
            yield AwaitEnd(seat, min(left, lasts_for, RARELY), about=False)
            return True
    yield AwaitEnd(seat, min(waiting.pause, left), about=True)
    waiting.pause = min(2 * waiting.pause, LONGEST_PAUSE)
    return True


def _lease_left(seat: Seat, record: Record) -> float:
    """How long after the latest news the lease of *record* may not be ended."""
    news = seat.flight.news
    if news is None:
        return 0.0
    return record.lease_until + grace(record.lease_for) - news.now


def _announced(record: Record) -> Generator[Command, Any, bool]:
    try:
        announced: bool = yield AnnounceEnd(record.identity)
    except StoreUnavailable:
        return False
    return announced


def lead(
    attempt: Attempt, terms: Terms, seat: Seat, owner: bytes, give_up_at: float
) -> Generator[Command, Any, Decision]:
    """Claim at the store, tell the other seats, and decide."""
    fingerprint = attempt.fingerprint
    witnessed: float | None = None
    doubtful = False
    while True:
        command = _claim(attempt, fingerprint, owner, terms, witnessed)
        claimed: Claimed = yield from _claimed(command, give_up_at, doubtful=doubtful)
        yield Tell(seat, claimed)
        decision, fingerprint = compare(claimed, attempt, fingerprint, owner)
        if isinstance(decision, Proceed) and decision.lease.steps:
            return (yield from _with_own_steps(decision, claimed, attempt, command))
        if not isinstance(decision, InFlight) or not decision.ended:
            return decision
        if witnessed == claimed.record.lease_until:
            return decision
        yield Sleep(courtesy(claimed.record))
        witnessed = claimed.record.lease_until
        doubtful = _unclear(claimed.record.steps)


def _with_own_steps(
    decision: Proceed, claimed: Claimed, attempt: Attempt, command: Claim
) -> Generator[Command, Any, Decision]:
    """Go on with the steps of an earlier execution, if this is the same request.

    A released key forgets its request, its steps do not.
    """
    try:
        steps = read_steps(decision.lease.steps)
    except RecordUnreadable:
        yield LetGo(command)
        raise
    theirs = attempt.fingerprint if steps is None else steps.fingerprint
    ours: Fingerprint | None = attempt.fingerprint
    if theirs.scheme != attempt.fingerprint.scheme:
        ours = attempt.under(theirs.scheme)
    if ours is not None and compare_digest(theirs.digest, ours.digest):
        return decision
    yield LetGo(command)
    return Incomparable(claimed.record) if ours is None else Mismatch(claimed.record)


def _claimed(
    command: Claim, give_up_at: float, *, doubtful: bool
) -> Generator[Command, Any, Claimed]:
    try:
        claimed: Claimed = yield from insist(ClaimKey(command), give_up_at)
    except GeneratorExit:
        raise
    except BaseException:  # silence or a cancelled task: it may have arrived
        if not doubtful:  # a release would say that no doubt is left: let it end
            yield LetGo(command)
        raise
    return claimed


def follow(
    attempt: Attempt, seat: Seat, give_up_at: float
) -> Generator[Command, Any, Decision | None]:
    """Decide on the leader's news; None when this seat is to lead instead."""
    while not seat.leads:
        news: Claimed | None = yield Hear(seat)
        if news is not None:
            return compare(news, attempt, attempt.fingerprint, NOBODY)[0]
        now: float = yield Now()
        if now >= give_up_at:
            message = "The store did not answer the attempt that came before."
            raise StoreUnavailable(message)
        if (yield AwaitNews(seat, 0, give_up_at - now)) is False:
            raise StoreUnavailable("Too many wait already.")
    return None


def _claim(
    attempt: Attempt,
    fingerprint: Fingerprint,
    owner: bytes,
    terms: Terms,
    witnessed: float | None,
) -> Claim:
    return Claim(
        attempt.identity,
        owner,
        fingerprint,
        terms.guarantee,
        terms.lease_for,
        terms.max_crashes,
        witnessed,
        attempt.field_map,
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


def lease_in_vain(claim: Claim) -> Lease:
    """Give the lease of a claim that nobody knows the answer of."""
    return Lease(
        identity=claim.identity,
        owner=claim.owner,
        guarantee=claim.guarantee,
        execution=0,
        claimed_at=0.0,
        lasts_for=claim.lease_for,
    )


def courtesy(record: Record) -> float:
    """How long a claimant lets a live owner renew before it ends the lease."""
    return min(1.0, record.lease_for / 3)


def insist(command: StoreCommand, give_up_at: float) -> Generator[Command, Any, Any]:
    """Repeat *command* while the store does not answer, until *give_up_at*.

    Raises:
        StoreUnavailable: it did not answer in time.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return (yield command)
        except StoreUnavailable as unavailable:
            failure = unavailable
        now: float = yield Now()
        if now + pause >= give_up_at:
            raise failure
        yield Sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def finish(
    lease: Lease, ending: Ending | Committed, terms: Terms, *, give_up_at: float
) -> Generator[Command, Any, Finished]:
    """Write how the execution ended; never free a key because that failed."""
    if isinstance(ending, Committed):
        return Stored(ending.record)
    command = ending_command(lease, ending, terms)
    try:
        if isinstance(ending, Unclear) and ending.reference is not None:
            note = Note(lease.identity, lease.owner, reference=ending.reference)
            yield from insist(NoteKey(note), give_up_at)
        answer = yield from insist(command, give_up_at)
    except StoreUnavailable:
        return Unrecorded()
    except RecordUnreadable:  # by now it says nothing, and will say no more later
        return Lost(None)
    return ended(lease, command, answer)


def ended(
    lease: Lease, command: LateCommand, answer: Any
) -> Stored | Freed | Parked | Lost:
    """Say what the store's *answer* to an ending *command* means."""
    match command:
        case CompleteKey():
            return completed(lease, answer)
        case ReleaseKey():
            return Freed() if answer else Lost(None)
        case AbandonKey():
            return Parked() if answer else Lost(None)


def ending_command(lease: Lease, ending: Ending, terms: Terms) -> LateCommand:
    """Say which store command carries *ending* out, under the lease's guarantee.

    Where a worker vanished in a step that is not safe to repeat, no later execution
    frees the key, whatever it says of itself: a release would end that doubt.
    """
    retention_for = terms.retention_for
    if not isinstance(ending, Keep) and lease.crashes and _unclear(lease.steps):
        return AbandonKey(lease.identity, lease.owner, "step-unclear")
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
        case Park(reason):
            return AbandonKey(lease.identity, lease.owner, reason)
        case Unclear(reason):
            if lease.guarantee.runs_again:
                return ReleaseKey(lease.identity, lease.owner, reason, retention_for)
            return AbandonKey(lease.identity, lease.owner, reason)


def _unclear(frame: bytes) -> bool:
    """Whether a step that is not safe to repeat was begun and has no end."""
    steps = read_steps(frame)
    return steps is not None and any(
        step.progress is Progress.BEGUN for step in steps.taken
    )


def completed(lease: Lease, record: Record | None) -> Stored | Lost:
    """Say whether the record that came back is this lease's own outcome."""
    if (
        record is not None
        and record.owner == lease.owner
        and record.status is Status.COMPLETED
    ):
        return Stored(record)
    return Lost(record)


def noted(note: Note, *, give_up_at: float) -> Generator[Command, Any, None]:
    """Write *note* into the record of whoever is at work.

    Raises:
        LeaseLost: the key is somebody else's by now.
        StoreUnavailable: the store did not answer in time.
    """
    holds: bool = yield from insist(NoteKey(note), give_up_at)
    if not holds:
        raise LeaseLost("Another worker has taken this key: stop here.")


def forgetting(identity: Identity, reason: str, actor: str) -> SettleKey:
    """Say which store command takes away an outcome.

    Raises:
        ConfigurationError: nobody said why.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise ConfigurationError(
            "Say in a few words why this outcome is forgotten: the reason comes first, "
            "then the arguments of the call, and it goes to the audit."
        )
    return SettleKey(Settlement(identity, reason.strip(), actor, forgets=True))


def winner(lease: Lease, *, until: float) -> Generator[Command, Any, Record | None]:
    """Wait for the outcome of whoever took the key from *lease*.

    None when there is none *until* then, or it cannot be read.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            found: Claimed | None = yield FindKey(lease.identity)
        except (StoreUnavailable, RecordUnreadable):
            return None
        if found is not None and found.record.status is Status.COMPLETED:
            return found.record
        now: float = yield Now()
        settled = found is None or found.record.status is not Status.IN_PROGRESS
        if settled or now + pause >= until:
            return None
        yield Sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
