# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The rules that change a record, as plain functions.

Each takes the stored record (or None), a command and the store's clock, and
gives a Change: the record as it now is and whether it must be written. A store
reads, applies one rule and writes, in one atomic step.

Rule 1: everything that changes a record lives in this file.
Rule 2: after the claim, nothing changes without the owner token of the last
claim. A path that lost the key gets the record back and writes nothing.
Rule 3: a lease that ran out is not yet free. A claimant must have *witnessed*
its end and come back: a live owner, held up by a busy store, renews first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from keyonce.core.errors import SettlementRefused
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Record
from keyonce.core.states import Status

if TYPE_CHECKING:
    from keyonce.core.model import Claim, Completion, Note, Settlement


class Change(NamedTuple):
    """The record after a rule, and whether the rule changed it."""

    record: Record
    written: bool


def standing(record: Record | None, now: float) -> Record | None:
    """See through retention: what this stored row still means at *now*.

    A completed record past its retention is absent, or a tombstone while late
    retries are refused. A record in progress never expires, nor does an
    unknown one.
    """
    if record is None or record.expires_at is None or now < record.expires_at:
        return record
    if record.late_until is not None and now < record.late_until:
        return entomb(record)
    return None


def entomb(record: Record) -> Record:
    """Forget the outcome of *record*, keeping that there was one."""
    return record._replace(
        status=Status.TOMBSTONE,
        fingerprint=None,
        fields=b"",
        result=None,
        expires_at=record.late_until,
        steps=b"",
    )


def claim(stored: Record | None, command: Claim, now: float) -> Change:
    """Give the key to the claimant, or say who or what is in the way."""
    record = standing(stored, now)
    if record is None:
        return Change(_begun(command, now, executions=1), written=True)
    if record.status is Status.RELEASED:
        return Change(_again(record, command, now), written=True)
    if record.status is not Status.IN_PROGRESS or record.owner == command.owner:
        return Change(record, written=False)
    if not _may_be_ended(record, command, now):
        return Change(record, written=False)
    return _end_of_lease(record, command, now)


def _begun(command: Claim, now: float, *, executions: int) -> Record:
    fingerprint = command.fingerprint
    return Record(  # by position: one is made for every first request
        command.identity,
        Status.IN_PROGRESS,
        command.guarantee,
        command.owner,
        executions,
        now,
        now,
        command.lease_for,
        0,
        now + command.lease_for,
        fingerprint,
        command.field_map(fingerprint.digest),
    )


def _again(record: Record, command: Claim, now: float) -> Record:
    """Begin anew where *record* left off: finished steps are not repeated."""
    begun = _begun(command, now, executions=record.executions + 1)
    return begun._replace(
        created_at=record.created_at, reference=record.reference, steps=record.steps
    )


def grace(lease_for: float) -> float:
    """How long after its end a lease is left alone: one renewal."""
    return lease_for / 3


def lease_ended(record: Record, now: float) -> bool:
    """Whether the lease is over, the owner's grace included."""
    return now >= record.lease_until + grace(record.lease_for)


def _may_be_ended(record: Record, command: Claim, now: float) -> bool:
    return (
        lease_ended(record, now)
        and command.witnessed == record.lease_until
        and command.fingerprint == record.fingerprint
    )


def _end_of_lease(record: Record, command: Claim, now: float) -> Change:
    crashes = record.crashes + 1
    if not record.guarantee.runs_again:
        ended = _unknown(record, "lease-ended", now)
        return Change(ended._replace(crashes=crashes), written=True)
    if crashes >= command.max_crashes:
        ended = _unknown(record, "parked", now)
        return Change(ended._replace(crashes=crashes), written=True)
    again = _again(record, command, now)._replace(crashes=crashes)
    return Change(again, written=True)


def _unknown(record: Record, reason: str, now: float) -> Record:
    return record._replace(status=Status.UNKNOWN, reason=reason, ended_at=now)


def renew(record: Record | None, owner: bytes, now: float) -> Change | None:
    """Prolong the owner's lease from *now*; None when the lease is lost.

    An unknown record of this owner is given back unchanged: nobody else runs,
    and its owner may still complete it.
    """
    if record is None or record.owner != owner:
        return None
    if record.status is Status.IN_PROGRESS:
        prolonged = record._replace(lease_until=now + record.lease_for)
        return Change(prolonged, written=True)
    if record.status is Status.UNKNOWN:
        return Change(record, written=False)
    return None


def note(record: Record | None, command: Note) -> Change | None:
    """Write down how far the owner's work got; None when it holds the key no more.

    An unknown record takes notes as well: its owner may still complete it. A note that
    the owner made before the last one that is here comes too late, and changes nothing.
    """
    if record is None or record.owner != command.owner or record.status not in _OPEN:
        return None
    if command.number < record.noted:
        return Change(record, written=False)
    steps = record.steps if command.steps is None else command.steps
    noted = record._replace(
        steps=steps,
        reference=command.reference or record.reference,
        noted=command.number,
    )
    return Change(noted, written=noted != record)


def complete(record: Record | None, command: Completion, now: float) -> Change | None:
    """Store the owner's outcome; None when the key is gone.

    A record that this owner completed before (a reply was lost) and a record
    that another owner holds are given back unchanged: the caller compares the
    owner.
    """
    if record is None:
        return None
    if record.owner != command.owner or record.status not in _OPEN:
        return Change(record, written=False)
    return Change(_completed(record, command, now), written=True)


def _completed(record: Record, command: Completion, now: float) -> Record:
    kept_for, late_for = command.retention_for, command.late_for
    expires_at = None if kept_for is None else now + kept_for
    late_until = None if expires_at is None or not late_for else expires_at + late_for
    return Record(  # by position: one is made for every first request
        record.identity,
        Status.COMPLETED,
        record.guarantee,
        record.owner,
        record.executions,
        record.created_at,
        record.claimed_at,
        record.lease_for,
        0,
        record.lease_until,
        record.fingerprint,
        record.fields,
        now,
        expires_at,
        late_until,
        command.result,
        command.reference or record.reference,
    )


def _after(instant: float | None, span: float | None) -> float | None:
    return None if instant is None or span is None else instant + span


_OPEN = (Status.IN_PROGRESS, Status.UNKNOWN)


def release(
    record: Record | None,
    owner: bytes,
    reason: str,
    retention_for: float | None,
    now: float,
) -> Change | None:
    """Free the owner's key; the count stays, the fingerprint is forgotten."""
    if record is None or record.owner != owner:
        return None
    if record.status is Status.RELEASED:
        return Change(record, written=False)
    if record.status is not Status.IN_PROGRESS:
        return None
    return Change(_released(record, reason, retention_for, now), written=True)


def _released(
    record: Record, reason: str, retention_for: float | None, now: float
) -> Record:
    return record._replace(
        status=Status.RELEASED,
        fingerprint=None,
        fields=b"",
        reason=reason,
        crashes=0,
        ended_at=now,
        expires_at=_after(now, retention_for),
    )


def abandon(
    record: Record | None, owner: bytes, reason: str, now: float
) -> Change | None:
    """Say that the owner cannot tell whether the work was done."""
    if record is None or record.owner != owner:
        return None
    if record.status is Status.UNKNOWN:
        return Change(record, written=False)
    if record.status is not Status.IN_PROGRESS:
        return None
    return Change(_unknown(record, reason, now), written=True)


def settle(record: Record | None, command: Settlement, now: float) -> Change:
    """Carry out an operator's decision on an unknown record.

    A record whose lease has ended counts as unknown. The owner token is
    dropped, so that a late owner can no longer complete.

    Raises:
        SettlementRefused: there is no record, it is settled already, or its
            owner is still at work.
    """
    record = standing(record, now)
    if record is None:
        message = "There is no record of this key: nothing to settle."
        raise SettlementRefused(message)
    if record.status is Status.IN_PROGRESS and not lease_ended(record, now):
        message = (
            "The work is still running: its lease is renewed until it ends. "
            "Wait for it, or stop the worker and try again when the lease has ended."
        )
        raise SettlementRefused(message)
    if record.status not in _OPEN and not _is_given_up(record, command):
        message = f"The record is {record.status.word}: only unknown ones are settled."
        raise SettlementRefused(message)
    _check_execution(record, command)
    return Change(_settled(record, command, now), written=True)


def forget(record: Record | None, command: Settlement, now: float) -> Record:
    """Give the record that goes by an operator's decision that its key be new.

    Only what has ended goes; without outcome and steps, which nobody needs to open.

    Raises:
        SettlementRefused: there is no record, or it is open.
    """
    record = standing(record, now)
    if record is None:
        message = "There is no record of this key: nothing to forget."
        raise SettlementRefused(message)
    if record.status is Status.IN_PROGRESS:
        message = (
            "The work is under way, or its worker vanished, and only what has ended "
            "is forgotten. Wait for its end; if none comes, resolve or release it."
        )
        raise SettlementRefused(message)
    if record.status is Status.UNKNOWN:
        message = (
            "Nobody knows whether the work was done: to forget it would let it run "
            "again. Find out, then resolve or release it."
        )
        raise SettlementRefused(message)
    _check_execution(record, command)
    return record._replace(result=None, steps=b"")


def _check_execution(record: Record, command: Settlement) -> None:
    if command.execution not in (None, record.executions):
        message = "The work has been run again since: look at it anew."
        raise SettlementRefused(message)


def _is_given_up(record: Record, command: Settlement) -> bool:
    """Whether it is completed with the very outcome that nobody can open."""
    given_up = command.in_place_of
    return (
        record.status is Status.COMPLETED
        and given_up is not None
        and record.result == given_up
    )


def _settled(record: Record, command: Settlement, now: float) -> Record:
    unowned = record._replace(owner=b"", result=None, late_until=None)
    if command.result is None:
        return _released(unowned, "operator", command.retention_for, now)
    return unowned._replace(
        status=Status.COMPLETED,
        result=command.result,
        reason="operator",
        crashes=0,
        ended_at=now,
        expires_at=_after(now, command.retention_for),
        steps=b"",
    )


def purge(record: Record, now: float) -> Record | None:
    """What a purge leaves of *record*: itself, its tombstone, or nothing."""
    return standing(record, now)


def effective_status(record: Record, now: float) -> Status:
    """The status that the next attempt would meet, without writing it."""
    seen = standing(record, now)
    if seen is None:
        return Status.RELEASED
    if (
        seen.status is Status.IN_PROGRESS
        and seen.guarantee is Guarantee.AT_MOST_ONCE
        and lease_ended(seen, now)
    ):
        return Status.UNKNOWN
    return seen.status
