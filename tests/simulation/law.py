# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The law of records, written a second time: which change is lawful, by what verb.

It shares nothing with ``core.transitions``, whose bugs it is to find.
"""

from __future__ import annotations

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Record
from keyonce.core.states import Status
from tests.simulation.history import Applied, History

RUNNING, DONE = Status.IN_PROGRESS, Status.COMPLETED
UNKNOWN, FREE, TOMB = Status.UNKNOWN, Status.RELEASED, Status.TOMBSTONE
ROUNDING = 0.002


def broken(applied: Applied, history: History) -> str | None:
    """Say which law *applied* breaks; None where it keeps all."""
    before, after = applied.before, applied.after
    if applied.verb == "failover":
        return None
    if not applied.written:
        unchanged = after == before or _is_seen_through(before, after, applied.now)
        return None if unchanged else "a refused command changes the record"
    match applied.verb:
        case "claim":
            return _claim(applied, before, after, history)
        case "renew":
            return _renew(applied, before, after)
        case "note":
            return _note(applied, before, after)
        case "complete" | "release" | "abandon":
            return _end(applied, before, after, history)
        case "settle":
            return _settle(applied, before, after)
        case "purge":
            return _purge(applied, before, after)
        case _:
            return f"nobody knows the verb {applied.verb}"


def _claim(
    applied: Applied, before: Record | None, after: Record | None, history: History
) -> str | None:
    if after is None:
        return "a claim leaves nothing"
    now = applied.now
    if before is None or _is_over(before, now):
        fresh = after.executions == 1 and after.created_at == now
        return _granted(applied, after, None if fresh else "a new key is not new")
    if before.status is FREE:
        follows = (
            after.executions == before.executions + 1
            and after.created_at == before.created_at
            and after.steps == before.steps
        )
        return _granted(applied, after, None if follows else "a free key forgets")
    if before.status is not RUNNING:
        return f"a claim changes a record that is {before.status.word}"
    if now < before.lease_until + before.lease_for / 3:
        return "a live owner's lease is ended"
    if before.fingerprint != after.fingerprint:
        return "another request ends a lease"
    crashes = before.crashes + 1
    parks = before.guarantee is Guarantee.AT_MOST_ONCE or crashes >= 3
    if parks:
        parked = after.status is UNKNOWN and after.owner == before.owner
        return None if parked else "what may not run again is given away"
    again = (
        after.executions == before.executions + 1
        and after.crashes == crashes
        and after.steps == before.steps
        and after.created_at == before.created_at
    )
    return _granted(applied, after, None if again else "a takeover miscounts")


def _granted(applied: Applied, after: Record, told: str | None) -> str | None:
    if after.status is not RUNNING or after.owner != applied.token:
        return "a claim gives the key to somebody else"
    if abs(after.lease_until - (applied.now + after.lease_for)) > ROUNDING:
        return "a lease is not on the store's clock"
    return told


def _renew(applied: Applied, before: Record | None, after: Record | None) -> str | None:
    told = _owned(applied, before, after)
    if told is not None or before is None or after is None:
        return told
    if before.status is not RUNNING or after.status is not RUNNING:
        return "a lease is renewed that has ended"
    if after != before._replace(lease_until=after.lease_until):
        return "a renewal changes more than the lease"
    ends = applied.now + before.lease_for
    same = abs(after.lease_until - ends) <= ROUNDING
    return None if same else "a lease is renewed for another time"


def _note(applied: Applied, before: Record | None, after: Record | None) -> str | None:
    told = _owned(applied, before, after)
    if told is not None or before is None or after is None:
        return told
    if before.status not in (RUNNING, UNKNOWN):
        return "work that has ended is noted"
    if after.noted < before.noted:
        return "an older note takes a newer one back"
    same = after == before._replace(
        steps=after.steps, reference=after.reference, noted=after.noted
    )
    return None if same else "a note changes more than the steps"


def _end(
    applied: Applied, before: Record | None, after: Record | None, history: History
) -> str | None:
    told = _owned(applied, before, after)
    if told is not None or before is None or after is None:
        return told
    allowed, becomes = {
        "complete": ((RUNNING, UNKNOWN), DONE),
        "release": ((RUNNING,), FREE),
        "abandon": ((RUNNING,), UNKNOWN),
    }[applied.verb]
    if before.status not in allowed or after.status is not becomes:
        return f"{applied.verb} makes {before.status.word} {after.status.word}"
    if applied.verb == "complete" and after.result is None:
        return "an outcome is completed without itself"
    if applied.verb == "complete" and after.fingerprint != before.fingerprint:
        return "a completed record forgets its request"
    if after.executions != before.executions or after.created_at != before.created_at:
        return "an end changes what was counted"
    return _kept_long_enough(applied, after, history)


def _kept_long_enough(applied: Applied, after: Record, history: History) -> str | None:
    if after.status is UNKNOWN:
        return None if after.expires_at is None else "an unknown record expires"
    if after.status is FREE and after.reason == "never-begun":
        return None
    if after.expires_at is None:
        return None if history.retention == float("inf") else "kept for ever"
    off = abs(after.expires_at - (applied.now + history.retention))
    return None if off <= ROUNDING else "an outcome is not kept as long as declared"


def _settle(
    applied: Applied, before: Record | None, after: Record | None
) -> str | None:
    if before is None or after is None:
        return "nothing is settled"
    ended = applied.now >= before.lease_until + before.lease_for / 3
    if before.status is not UNKNOWN and not (before.status is RUNNING and ended):
        return f"a record is settled that is {before.status.word}"
    if after.owner:
        return "who was settled may still complete"
    return None if after.status in (DONE, FREE) else "what is settled has no end"


def _purge(applied: Applied, before: Record | None, after: Record | None) -> str | None:
    if before is None or before.status in (RUNNING, UNKNOWN):
        return "a record is purged that has no end"
    if before.expires_at is None or before.expires_at > applied.now:
        return "a record is purged before its time"
    if after is None:
        late = before.late_until is not None and before.late_until > applied.now
        return "a tombstone is purged before its time" if late else None
    return None if after.status is TOMB else "a purge leaves what has expired"


def _owned(applied: Applied, before: Record | None, after: Record | None) -> str | None:
    """Only the owner of a record changes it, and stays its owner."""
    if before is None or after is None:
        return f"{applied.verb} changes a record that is not there"
    if before.owner != applied.token or after.owner != applied.token:
        return f"a stale token changes something by {applied.verb}"
    return None


def _is_over(record: Record, now: float) -> bool:
    """Whether *record* means nothing any more."""
    if record.expires_at is None or now < record.expires_at:
        return False
    if record.status not in (DONE, FREE, TOMB):
        return False
    return record.late_until is None or now >= record.late_until


def _is_seen_through(before: Record | None, after: Record | None, now: float) -> bool:
    """Whether *after* is what an expired *before* is shown as."""
    if before is None or before.expires_at is None or now < before.expires_at:
        return False
    return after is None or after.status is TOMB
