# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs in SQLite's words: read the row, apply the rule, write.

Every procedure that writes runs inside one BEGIN IMMEDIATE, with *now* read
after it has the lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.core import transitions
from keyonce.core.codec import encode
from keyonce.core.errors import RecordUnreadable, SettlementRefused, StoreError
from keyonce.core.model import Claimed, Identity, Query, StoreStats
from keyonce.core.states import Status
from keyonce.stores.shell import audit_of, counted_as, listed, stored_as
from keyonce.stores.sqlite.rows import (
    STATUSES,
    audit_columns,
    audit_of_row,
    columns_of,
    damaged,
    listing_of,
    milliseconds,
    outline_of,
    record_of,
)
from keyonce.stores.statement import Procedure, Row, Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.core.model import (
        AuditRow,
        Claim,
        Completion,
        Note,
        Record,
        Settlement,
    )
    from keyonce.core.transitions import Change

PAGE: Final = 500
OPEN: Final = {Status.IN_PROGRESS, Status.UNKNOWN}


def first_look(rows: list[Row], command: Claim, now: float) -> Claimed | None:
    """Answer a claim that changes nothing from what was read, else None.

    The end of a lease is looked at with the write lock in hand: while another
    program holds the file, its owner cannot renew.
    """
    if not rows:
        return None
    stored = record_of(command.identity, rows[0])
    record, written = transitions.claim(stored, command, now)
    if written or (
        record.status is Status.IN_PROGRESS and transitions.lease_ended(record, now)
    ):
        return None
    return Claimed(record, now)


def first_look_each(
    found: Sequence[list[Row]], commands: Sequence[Claim], now: float
) -> list[Claimed | StoreError | None]:
    """Answer like ``first_look`` each claim by the rows that were *found*."""
    seen: list[Claimed | StoreError | None] = []
    for rows, command in zip(found, commands, strict=True):
        try:
            seen.append(first_look(rows, command, now))
        except RecordUnreadable as error:
            seen.append(error)
    return seen


def found(rows: list[Row], identity: Identity, now: float) -> Claimed | None:
    """Give what was read, seen through retention."""
    if not rows:
        return None
    record = transitions.standing(record_of(identity, rows[0]), now)
    return None if record is None else Claimed(record, now)


def claim(command: Claim, now: float) -> Procedure[Claimed]:
    """Give the key to the claimant if it is free."""
    rows = yield Statement("find_record", command.identity)
    stored = record_of(command.identity, rows[0]) if rows else None
    change = transitions.claim(stored, command, now)
    if change.written and rows:
        yield from _update(rows[0], change.record)
    elif change.written:
        values = (*columns_of(change.record), *command.identity)
        yield Statement("insert_record", values)
    return Claimed(change.record, now)


def claim_many(
    commands: Sequence[Claim], now: float
) -> Procedure[list[Claimed | StoreError]]:
    """Claim each in one transaction; what cannot be read is not written, either."""
    answers: list[Claimed | StoreError] = []
    for command in commands:
        try:
            answers.append((yield from claim(command, now)))
        except RecordUnreadable as error:
            answers.append(error)
    return answers


def complete(command: Completion, now: float) -> Procedure[Record | None]:
    """Store the outcome if the owner still holds the key."""
    rows = yield Statement("find_record", command.identity)
    stored = record_of(command.identity, rows[0]) if rows else None
    change = transitions.complete(stored, command, now)
    return (yield from _apply(rows, change))


def release(
    identity: Identity,
    owner: bytes,
    reason: str,
    retention_for: float | None,
    now: float,
) -> Procedure[bool]:
    """Free the owner's key."""
    rows = yield Statement("find_record", identity)
    stored = record_of(identity, rows[0]) if rows else None
    change = transitions.release(stored, owner, reason, retention_for, now)
    yield from _apply(rows, change)
    return change is not None


def abandon(
    identity: Identity, owner: bytes, reason: str, now: float
) -> Procedure[bool]:
    """Make the owner's record unknown."""
    rows = yield Statement("find_record", identity)
    stored = record_of(identity, rows[0]) if rows else None
    change = transitions.abandon(stored, owner, reason, now)
    yield from _apply(rows, change)
    return change is not None


def renew(identity: Identity, owner: bytes, now: float) -> Procedure[Record | None]:
    """Prolong the owner's lease."""
    rows = yield Statement("find_record", identity)
    stored = record_of(identity, rows[0]) if rows else None
    change = transitions.renew(stored, owner, now)
    if change is None:
        return None
    if change.written:
        values = (change.record.lease_until, rows[0][0])
        yield Statement("renew_record", values)
    return change.record


def note(command: Note, now: float) -> Procedure[bool]:  # noqa: ARG001 - as its kind
    """Write down how far the owner's work got."""
    rows = yield Statement("find_record", command.identity)
    stored = record_of(command.identity, rows[0]) if rows else None
    change = transitions.note(stored, command)
    if change is not None and change.written:
        record = change.record
        values = (record.steps or None, record.reference, record.noted, rows[0][0])
        yield Statement("note_record", values)
    return change is not None


def settle(command: Settlement, now: float) -> Procedure[Record]:
    """Carry out an operator's decision and leave an audit row."""
    rows = yield Statement("find_record", command.identity)
    stored = _for_an_operator(command, rows)
    if command.forgets:
        record = transitions.forget(stored, command, now)
        yield Statement("delete_record", (rows[0][0],))
        yield Statement("delete_result", (rows[0][0],))
    else:
        record = transitions.settle(stored, command, now).record
        yield from _update(rows[0], record)
    audit = audit_of(command, stored, now)
    yield Statement("insert_audit", audit_columns(audit))
    return record


def _for_an_operator(command: Settlement, rows: list[Row]) -> Record | None:
    try:
        return record_of(command.identity, rows[0]) if rows else None
    except RecordUnreadable:
        left = damaged(command.identity, rows[0])
    if left.fingerprint is None and command.result is not None:
        message = (
            "The fingerprint of this record cannot be read: no request could ever be "
            "compared with it. It can only be released; the next request then runs."
        )
        raise SettlementRefused(message)
    return left


def _apply(rows: list[Row], change: Change | None) -> Procedure[Record | None]:
    if change is None:
        return None
    if change.written:
        yield from _update(rows[0], change.record)
    return change.record


def _update(row: Row, record: Record) -> Procedure[None]:
    yield Statement("update_record", (*columns_of(record), row[0]))
    if record.result is not None:
        yield Statement("put_result", (row[0], encode(record.result)))
    elif row[18] is not None:
        yield Statement("delete_result", (row[0],))


def purge(limit: int, now: float) -> Procedure[int]:
    """Remove expired records, or leave their tombstones."""
    rows = yield Statement("due_records", (milliseconds(now), limit))
    for row in rows:
        yield from _purge_one(row, now)
    return len(rows)


def _purge_one(row: Row, now: float) -> Procedure[None]:
    number = (row[3],)
    try:
        left = transitions.purge(outline_of(row), now)
    except RecordUnreadable:
        yield Statement("keep_for_ever", number)  # an operator has to look at it
        return
    if left is None:
        yield Statement("delete_record", number)
    else:
        yield Statement("update_record", (*columns_of(left), row[3]))
    yield Statement("delete_result", number)


def records(query: Query, now: float) -> Procedure[list[Record]]:
    """List records page by page until there are enough."""
    chosen: list[Record] = []
    name, values = _listing(query)
    while len(chosen) < query.limit:
        rows = yield Statement(name, values)
        chosen += listed(map(listing_of, rows), query, now)
        if len(rows) < PAGE:
            break
        values |= _behind(Identity(*rows[-1][:3]))
    return chosen[: query.limit]


def _listing(query: Query) -> tuple[str, dict[str, Any]]:
    statuses = stored_as(query.status)
    values = {
        "scope": query.scope,
        "operation": query.operation,
        "key": query.key,
        "statuses": _bits(statuses),
        "limit": PAGE,
    }
    values |= _behind(query.after or Identity("", "", ""))
    return "list_open" if OPEN.issuperset(statuses) else "list_records", values


def _bits(statuses: tuple[Status, ...]) -> int:
    """Give a bit for each status, or all: also those that only a forger knows."""
    everything = len(statuses) == len(Status)
    return -1 if everything else sum(1 << status for status in statuses)


def _behind(identity: Identity) -> dict[str, Any]:
    names = ("after_scope", "after_operation", "after_key")
    return dict(zip(names, identity, strict=True))


def audits(identity: Identity | None) -> Procedure[list[AuditRow]]:
    """List operator actions, newest first."""
    scope, operation, key = identity or (None, None, None)
    values = {"scope": scope, "operation": operation, "key": key}
    rows = yield Statement("list_audits", values)
    return [audit_of_row(row) for row in rows]


def stats(now: float) -> Procedure[StoreStats]:
    """Count by status from the index; read only the rows that are open."""
    counts: dict[Status, int] = {}
    oldest: dict[Status, float] = {}
    for number, count, first in (yield Statement("count_records")):
        status = STATUSES.get(number)
        if status is None:
            counts[Status.UNKNOWN] = counts.get(Status.UNKNOWN, 0) + count
        elif status not in OPEN:
            counts[status] = count
            claimed = yield Statement("claimed_at", (first,))
            oldest[status] = claimed[0][0] / 1000
    _, values = _listing(Query())
    for row in (yield Statement("list_open", values | {"limit": -1})):
        record = listing_of(row)
        status = counted_as(record, now)
        counts[status] = counts.get(status, 0) + 1
        oldest[status] = min(oldest.get(status, now), record.claimed_at)
    size = yield Statement("stored_bytes")
    expired = yield Statement("count_expired", (milliseconds(now),))
    return StoreStats(counts, oldest, size[0][0], now, expired[0][0])
