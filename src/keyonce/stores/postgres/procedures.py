# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs in PostgreSQL's words: one statement each.

The rules stand in queries.sql, where the server carries them out on its own clock.
An answer that was overtaken is asked for again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core import transitions
from keyonce.core.codec import encode
from keyonce.core.errors import RecordUnreadable, StoreUnavailable
from keyonce.core.model import Claimed, Identity, Query, StoreStats, no_fields
from keyonce.core.states import Status
from keyonce.stores.postgres.rows import (
    FLAG,
    NOW,
    NUMBERS,
    STATUSES,
    audit_columns,
    audit_of_row,
    columns_of,
    damaged,
    listing_of,
    outline_of,
    record_of,
    texts_of,
)
from keyonce.stores.postgres.steps import Pause, Prompt
from keyonce.stores.shell import audit_of, listed, stored_as
from keyonce.stores.statement import Row, Statement

if TYPE_CHECKING:
    from keyonce.core.model import (
        AuditRow,
        Claim,
        Completion,
        Record,
        Settlement,
    )
    from keyonce.stores.postgres.steps import Steps

PAGE: Final = 500
TRIES: Final = 12  # of an answer that was overtaken
RUNNING: Final = frozenset({Status.IN_PROGRESS})
OPEN: Final = frozenset({Status.IN_PROGRESS, Status.UNKNOWN})


def claim(command: Claim, at: float | None, *, known: bool) -> Steps[Claimed]:
    """Give the key to the claimant if it is free.

    With *known* there was a record lately: then it is read and no more, so that an
    attempt that changes nothing makes no field map.
    """
    if command.witnessed is not None:
        # Whoever had to wait for the server ends no lease: its owner, who waited as
        # well, must get to renew it first.
        rows = yield Prompt(Statement("claim", _values_of(command, at)))
        if rows and not rows[0][FLAG]:
            return _claimed(command.identity, rows[0])
        command, known = command._replace(witnessed=None), True
    seen = yield from _first_look(command, at, known=known)
    if seen is not None:
        return seen
    values = _values_of(command, at)
    for _ in range(TRIES):
        rows = yield Statement("claim", values)
        if rows and not rows[0][FLAG]:
            return _claimed(command.identity, rows[0])
        yield Pause()
    raise _overtaken()


def _first_look(
    command: Claim, at: float | None, *, known: bool
) -> Steps[Claimed | None]:
    """Take a key that nobody used, or see what is in the way; None: it may be free."""
    if known:
        rows = yield Statement("find", (at, *texts_of(command.identity)))
    else:
        values = _values_of(command, at)
        rows = yield Statement("begin", (*values[:7], *values[9:]))
    if not rows:
        return None
    stored, now = record_of(command.identity, rows[0]), rows[0][NOW]
    unmade = command._replace(field_map=no_fields)
    change = transitions.claim(stored, unmade, now)
    return None if change.written else Claimed(change.record, now)


def _values_of(command: Claim, at: float | None) -> tuple[object, ...]:
    fingerprint = command.fingerprint
    return (
        at,
        *texts_of(command.identity),
        command.owner,
        NUMBERS[command.guarantee],
        command.lease_for,
        command.max_crashes,
        command.witnessed,
        fingerprint.scheme,
        fingerprint.digest,
        command.field_map(fingerprint.digest) or None,
    )


def _claimed(identity: Identity, row: Row) -> Claimed:
    """See the row through retention; the server gave no key away that is not free."""
    record, now = record_of(identity, row), row[NOW]
    return Claimed(transitions.standing(record, now) or record, now)


def _overtaken() -> StoreUnavailable:
    return StoreUnavailable(
        "The record is locked by another transaction that does not end. "
        "Look for it in pg_stat_activity."
    )


def find(identity: Identity, at: float | None) -> Steps[Claimed | None]:
    """Read one record, seen through retention."""
    rows = yield Statement("find", (at, *texts_of(identity)))
    if not rows:
        return None
    now = rows[0][NOW]
    record = transitions.standing(record_of(identity, rows[0]), now)
    return None if record is None else Claimed(record, now)


def complete(command: Completion, at: float | None) -> Steps[Record | None]:
    """Store the outcome if the owner still holds the key."""
    values = (
        encode(command.result),
        command.retention_for,
        command.late_for or None,
        command.reference,
    )
    identity, owner = command.identity, command.owner
    done = yield from _change("complete", identity, owner, values, at, OPEN)
    if done is None or done.status is not Status.COMPLETED or done.result is not None:
        return done
    return done._replace(result=command.result)


def release(
    identity: Identity,
    owner: bytes,
    reason: str,
    retention_for: float | None,
    at: float | None,
) -> Steps[bool]:
    """Free the owner's key."""
    values = (reason, retention_for)
    record = yield from _change("release", identity, owner, values, at)
    return _is_now(record, owner, Status.RELEASED)


def abandon(
    identity: Identity, owner: bytes, reason: str, at: float | None
) -> Steps[bool]:
    """Make the owner's record unknown."""
    record = yield from _change("abandon", identity, owner, (reason,), at)
    return _is_now(record, owner, Status.UNKNOWN)


def renew(identity: Identity, owner: bytes, at: float | None) -> Steps[Record | None]:
    """Prolong the owner's lease."""
    record = yield from _change("renew", identity, owner, (), at)
    if record is None or record.owner != owner or record.status not in OPEN:
        return None
    return record


def _change(
    query: str,
    identity: Identity,
    owner: bytes,
    values: tuple[object, ...],
    at: float | None,
    changeable: frozenset[Status] = RUNNING,
) -> Steps[Record | None]:
    """Change the owner's record, or look at what is in its place.

    What was changed comes back without its result.
    """
    texts = texts_of(identity)
    for _ in range(TRIES):
        rows = yield Statement(query, (at, *texts, owner, *values))
        if rows:
            return outline_of(identity, rows[0])
        rows = yield Statement("find", (at, *texts))
        if not rows:
            return None
        record = record_of(identity, rows[0])
        if record.owner != owner or record.status not in changeable:
            return record
        yield Pause()
    raise _overtaken()


def _is_now(record: Record | None, owner: bytes, status: Status) -> bool:
    return record is not None and record.owner == owner and record.status is status


def settle(command: Settlement, at: float | None) -> Steps[Record]:
    """Carry out an operator's decision and leave an audit row.

    For one transaction, which holds the record's lock from the first statement on.
    """
    texts = texts_of(command.identity)
    rows = yield Statement("lock_record", (at, *texts))
    stored = _for_an_operator(command.identity, rows)
    now = rows[0][NOW] if rows else 0.0
    change = transitions.settle(stored, command, now)
    yield Statement("put_record", (*texts, *columns_of(change.record)))
    yield Statement("insert_audit", audit_columns(audit_of(command, stored, now)))
    return change.record


def _for_an_operator(identity: Identity, rows: list[Row]) -> Record | None:
    try:
        return record_of(identity, rows[0]) if rows else None
    except RecordUnreadable:
        return damaged(identity)


def purge(limit: int, at: float | None) -> Steps[int]:
    """Remove expired records, or leave their tombstones."""
    rows = yield Statement("purge", (at, limit))
    count: int = rows[0][0]
    return count


def records(query: Query, at: float | None) -> Steps[list[Record]]:
    """List records page by page until there are enough."""
    statuses = stored_as(query.status)
    name = "list_open" if OPEN.issuperset(statuses) else "list_records"
    narrow = (*_narrowed(query), _bits(statuses), PAGE)
    after = texts_of(query.after or Identity("", "", ""))
    chosen: list[Record] = []
    while len(chosen) < query.limit:
        rows = yield Statement(name, (at, *after, *narrow))
        if rows:
            chosen += listed(map(listing_of, rows), query, rows[0][3 + NOW])
        if len(rows) < PAGE:
            break
        after = rows[-1][:3]
    return chosen[: query.limit]


def _narrowed(query: Query) -> tuple[str | None, ...]:
    wanted = (query.scope, query.operation, query.key)
    texts = texts_of(Identity(*(text or "" for text in wanted)))
    return tuple(
        None if want is None else text for want, text in zip(wanted, texts, strict=True)
    )


def _bits(statuses: tuple[Status, ...]) -> int:
    """Give a bit for each status, or all: also those that only a forger knows."""
    everything = len(statuses) == len(Status)
    return -1 if everything else sum(1 << status for status in statuses)


def audits(identity: Identity | None) -> Steps[list[AuditRow]]:
    """List operator actions, newest first."""
    texts = (None, None, None) if identity is None else texts_of(identity)
    rows = yield Statement("list_audits", texts)
    return [audit_of_row(row) for row in rows]


def stats(at: float | None) -> Steps[StoreStats]:
    """Count by status; this reads the whole table."""
    rows = yield Statement("count_records", (at,))
    counts: dict[Status, int] = {}
    oldest: dict[Status, float] = {}
    for number, count, first, now, _ in rows:
        if number is not None:
            status = STATUSES.get(number, Status.UNKNOWN)
            counts[status] = counts.get(status, 0) + count
            oldest[status] = min(oldest.get(status, now), first)
    return StoreStats(counts, oldest, rows[0][4], rows[0][3])
