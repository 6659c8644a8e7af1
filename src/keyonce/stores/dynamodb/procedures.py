# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs in DynamoDB's words: one conditional write each.

A write says in its condition what must be true of the item, and gets the old item
back either way. What that means is asked of the rules in core, so a refused write
costs no second trip, and a write that the driver sent twice finds its own token
and is taken for what it is (F-29).

There is no clock in DynamoDB. Instants are written by the clock of this machine,
*now*; leases and retentions are judged at *early*: now, less the margin by which
clocks may differ. No lease is taken and no outcome forgotten before the slowest
clock within the margin agrees (F-13).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from keyonce.core import transitions
from keyonce.core.codec import encode
from keyonce.core.errors import RecordUnreadable, StoreError, StoreUnavailable
from keyonce.core.model import Claimed, no_fields
from keyonce.core.states import Status
from keyonce.stores.dynamodb.calls import (
    Refusal,
    get,
    put,
    together,
    told_nothing,
    update,
)
from keyonce.stores.dynamodb.items import (
    audit_item,
    binary,
    ending_of,
    item_of,
    key_of,
    number,
    record_of,
    text,
    unchanged,
)
from keyonce.stores.shell import audit_of, damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyonce.core.model import (
        Claim,
        Completion,
        Identity,
        Note,
        Record,
        Settlement,
        StoredResult,
    )
    from keyonce.core.transitions import Change
    from keyonce.stores.dynamodb.calls import (
        Answer,
        Call,
        Item,
        Procedure,
        Where,
    )

# An item holds 409,600 bytes; headers, identity and field map want room too.
LARGEST_RESULT: Final = 320 * 1024
LARGEST_STEPS: Final = LARGEST_RESULT
_LARGEST_FRAME: Final = 400 * 1024
_TURNS: Final = 10


class Instant(NamedTuple):
    """The time by this machine's clock, and the earliest it may be by another's."""

    now: float
    early: float


def claim(table: str, command: Claim, at: Instant, *, met: bool) -> Procedure[Claimed]:
    """Give the key to the claimant if it is free.

    A key that was *met* before is probably a retry: it is read first, which
    costs less than a refused write. Any other is written at once.
    """
    identity, item = command.identity, None
    if met:
        item = (yield get(table, key_of(identity))).item
    for _ in range(_TURNS):
        stored = None if item is None else record_of(identity, item)
        looking = command._replace(field_map=no_fields)
        seen, written = transitions.claim(stored, looking, at.early)
        if not written:
            return Claimed(seen, at.early)
        record = transitions.claim(stored, command, at.now).record
        where: Where = {"id": []} if item is None else unchanged(item)
        answer = yield put(table, item_of(record), where)
        if answer.refusal is None:
            return Claimed(record, at.early)
        item = yield from _in_the_way(table, identity, answer)
    raise _contended(identity)


def find(table: str, identity: Identity, at: Instant) -> Procedure[Claimed | None]:
    """Read one record, seen through retention."""
    item = (yield get(table, key_of(identity))).item
    if item is None:
        return None
    record = transitions.standing(record_of(identity, item), at.early)
    return None if record is None else Claimed(record, at.early)


def complete(table: str, command: Completion, at: Instant) -> Procedure[Record | None]:
    """Store the outcome if the owner still holds the key.

    What is too large for an item is stored without its body, if need be without
    its headers: that the work was done must not get lost.
    """
    for result in _ever_smaller(command.result):
        with suppress(TooLarge):
            return (yield from _complete(table, command._replace(result=result), at))
    raise TooLarge


def _ever_smaller(result: StoredResult) -> Iterator[StoredResult]:
    if len(result.body) <= _LARGEST_FRAME:
        yield result
    bare = replace(result, body=b"", kept=False)
    yield bare
    yield replace(bare, headers=())


def _complete(table: str, command: Completion, at: Instant) -> Procedure[Record | None]:
    expires_at = _after(at.now, command.retention_for)
    late_until = _after(expires_at, command.late_for or None)
    sets = {
        "result": binary(encode(command.result)),
        "status": number(Status.COMPLETED.value),
        "crashes": number(0),
        **ending_of(at.now, expires_at, late_until),
    }
    if command.reference:
        sets["reference"] = text(command.reference)
    where = _held_by(command.owner, Status.IN_PROGRESS, Status.UNKNOWN)
    identity = command.identity
    forgets = ("open", "reason", "steps", "noted", "note")
    call = update(table, key_of(identity), sets, where, removes=forgets)
    change = yield from _change(
        table,
        identity,
        call,
        lambda stored: transitions.complete(stored, command, at.now),
    )
    return None if change is None else change.record


def release(
    table: str,
    identity: Identity,
    owner: bytes,
    reason: str,
    retention_for: float | None,
    at: Instant,
) -> Procedure[bool]:
    """Free the owner's key."""
    sets = {
        "status": number(Status.RELEASED.value),
        "crashes": number(0),
        "reason": text(reason),
        **ending_of(at.now, _after(at.now, retention_for), None),
    }
    forgets = ("open", "scheme", "digest", "fields")
    where = _held_by(owner, Status.IN_PROGRESS)
    change = yield from _change(
        table,
        identity,
        update(table, key_of(identity), sets, where, removes=forgets),
        lambda stored: transitions.release(
            stored, owner, reason, retention_for, at.now
        ),
    )
    return change is not None


def abandon(
    table: str, identity: Identity, owner: bytes, reason: str, at: Instant
) -> Procedure[bool]:
    """Make the owner's record unknown."""
    sets = {
        "status": number(Status.UNKNOWN.value),
        "reason": text(reason),
        **ending_of(at.now, None, None),
    }
    where = _held_by(owner, Status.IN_PROGRESS)
    change = yield from _change(
        table,
        identity,
        update(table, key_of(identity), sets, where),
        lambda stored: transitions.abandon(stored, owner, reason, at.now),
    )
    return change is not None


def renew(
    table: str, identity: Identity, owner: bytes, at: Instant
) -> Procedure[Record | None]:
    """Prolong the owner's lease, counted from before this was sent.

    How long it is stands in the item, so DynamoDB adds it up.
    """
    where = _held_by(owner, Status.IN_PROGRESS)
    sets = {"lease_until": number(at.now)}
    plus = {"lease_until": "lease_for"}
    change = yield from _change(
        table,
        identity,
        update(table, key_of(identity), sets, where, plus=plus),
        lambda stored: transitions.renew(stored, owner, at.now),
    )
    return None if change is None else change.record


def note(table: str, command: Note) -> Procedure[bool]:
    """Write down how far the owner's work got; what is too large changes nothing.

    Each note is counted: whoever has read the item before it writes nothing over it.
    One that is older than the last is refused, and a look tells who holds the key.
    """
    steps, reference = command.steps, command.reference
    sets: Item = {"note": number(command.number)}
    if steps is not None and len(steps) > LARGEST_STEPS:
        raise StepsTooLarge(len(steps))
    if steps:
        sets["steps"] = binary(steps)
    if reference:
        sets["reference"] = text(reference)
    where = _held_by(command.owner, Status.IN_PROGRESS, Status.UNKNOWN)
    call = update(
        table,
        key_of(command.identity),
        sets,
        where,
        removes=("steps",) if steps == b"" else (),
        counts={"noted": number(1)},
        at_most={"note": number(command.number)},
    )
    refusal = (yield told_nothing(call)).refusal
    if refusal is Refusal.TOO_LARGE:
        raise StepsTooLarge(len(steps or b""))
    if refusal is None:
        return True
    item = (yield get(table, key_of(command.identity))).item
    stored = None if item is None else record_of(command.identity, item)
    return transitions.note(stored, command) is not None


def settle(table: str, command: Settlement, at: Instant) -> Procedure[Record]:
    """Carry out an operator's decision; the record and its audit commit together."""
    identity = command.identity
    for _ in range(_TURNS):
        item = (yield get(table, key_of(identity))).item
        stored = _for_an_operator(identity, item)
        record, left = _settled(stored, command, at)
        audit = audit_item(
            audit_of(command, stored, at.now), stored.owner if stored else b""
        )
        where: Where = {"id": []} if item is None else unchanged(item)
        gone = [(key_of(identity), where)] if left is None else []
        puts = [] if left is None else [(left, where)]
        answer = yield together(table, [*puts, (audit, {"id": []})], gone)
        if answer.refusal is None:
            return record
        if answer.refusal is Refusal.TOO_LARGE:
            raise TooLarge
    raise _contended(identity)


def _settled(
    stored: Record | None, command: Settlement, at: Instant
) -> tuple[Record, Item | None]:
    """Give what is answered, and the item that is left."""
    if command.forgets:
        return transitions.forget(stored, command, at.early), None
    transitions.settle(stored, command, at.early)
    record = transitions.settle(stored, command, at.now).record
    return record, item_of(record)


def _for_an_operator(identity: Identity, item: Item | None) -> Record | None:
    try:
        return None if item is None else record_of(identity, item)
    except RecordUnreadable:
        return damaged(identity)


def _change(
    table: str,
    identity: Identity,
    call: Call,
    rule: Callable[[Record | None], Change | None],
) -> Procedure[Change | None]:
    """Carry out *call*, and ask *rule* what its answer means for the caller.

    The condition of *call* holds exactly where *rule* would write.
    """
    for _ in range(_TURNS):
        answer = yield call
        if answer.refusal is None:
            return rule(record_of(identity, answer.old))
        if answer.refusal is Refusal.TOO_LARGE:
            raise TooLarge
        item = yield from _in_the_way(table, identity, answer)
        change = rule(None if item is None else record_of(identity, item))
        if change is None or not change.written:
            return change
    raise _contended(identity)


def _in_the_way(
    table: str, identity: Identity, answer: Answer
) -> Procedure[Item | None]:
    """Give the item that a condition met, if there is one."""
    if answer.item is not None:
        return answer.item
    # Nothing is there, or it is a server that does not show what it met.
    return (yield get(table, key_of(identity))).item


def _held_by(owner: bytes, *statuses: Status) -> Where:
    return {
        "owner": [binary(owner)],
        "status": [number(status.value) for status in statuses],
    }


def _after(instant: float | None, span: float | None) -> float | None:
    return None if instant is None or span is None else instant + span


def _contended(identity: Identity) -> StoreUnavailable:
    return StoreUnavailable(
        f"A record in scope {identity.scope!r} changed each time it was to be written."
    )


class StepsTooLarge(StoreError):
    """Steps that do not fit beside the rest of their record."""

    def __init__(self, size: int) -> None:
        """Say how much it was, and what to do."""
        super().__init__(
            f"Steps of {size} bytes are too large for DynamoDB: it keeps up to "
            f"{LARGEST_STEPS} in a record, whose item has at most 400 KB. Let steps "
            "give less, or keep it elsewhere. What was noted before is still there."
        )


class TooLarge(StoreError):
    """DynamoDB keeps at most 400 KB in one item, and this outcome is larger."""

    def __init__(self) -> None:
        """Say what does not fit."""
        super().__init__(self.__doc__)
