# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A record as the columns of one row, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.core.codec import decode
from keyonce.core.errors import RecordUnreadable
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import AuditRow, Fingerprint, Identity, Record, StoredResult
from keyonce.core.states import Status
from keyonce.stores.shell import unreadable

if TYPE_CHECKING:
    from keyonce.stores.statement import Row

# The numbers are stored; never reuse one.
GUARANTEES: Final = {
    1: Guarantee.EXACTLY_ONCE,
    2: Guarantee.RESUME,
    3: Guarantee.AT_MOST_ONCE,
    4: Guarantee.AT_LEAST_ONCE,
}
NUMBERS: Final = {guarantee: number for number, guarantee in GUARANTEES.items()}
STATUSES: Final = {int(status): status for status in Status}
CLOSED: Final = (Status.COMPLETED, Status.RELEASED, Status.TOMBSTONE)


def milliseconds(instant: float) -> int:
    """Give *instant* or a span as it is stored."""
    return round(instant * 1000)


def columns_of(record: Record) -> tuple[Any, ...]:
    """Give the columns of *record* from `status` to `noted`."""
    created = milliseconds(record.created_at)
    claimed = milliseconds(record.claimed_at)
    expires = None if record.expires_at is None else milliseconds(record.expires_at)
    fingerprint = record.fingerprint
    return (
        int(record.status),
        NUMBERS[record.guarantee],
        record.owner,
        record.executions,
        record.crashes,
        created,
        claimed - created,
        record.lease_for,
        None if record.status in CLOSED else record.lease_until,
        _after(record.ended_at, claimed),
        expires,
        _after(record.late_until, expires or 0),
        None if fingerprint is None else fingerprint.scheme,
        None if fingerprint is None else fingerprint.digest,
        record.fields or None,
        record.reference,
        record.reason,
        record.steps or None,
        record.noted,
    )


def _after(instant: float | None, start: int) -> int | None:
    return None if instant is None else milliseconds(instant) - start


def record_of(identity: Identity, row: Row) -> Record:
    """Read a whole row, from `id` over the encoded result to `noted`.

    Raises:
        RecordUnreadable: it is torn, forged or from a newer version.
    """
    try:
        result = None if row[18] is None else decode(row[18])
    except TypeError as exc:
        raise unreadable(identity) from exc
    record = _record(identity, row, result)
    if (record.status is Status.COMPLETED) is (record.result is None):
        raise unreadable(identity)
    return record


def outline_of(row: Row) -> Record:
    """Read a row without its result: three columns of identity before the rest.

    Raises:
        RecordUnreadable: a column makes no sense.
    """
    return _record(Identity(*row[:3]), row[3:], None)


def listing_of(row: Row) -> Record:
    """Read a row for people: what cannot be read is unknown and says so."""
    try:
        record = outline_of(row)
    except RecordUnreadable:
        return damaged(Identity(*map(str, row[:3])), row[3:])
    torn = record.status is Status.COMPLETED and not row[21]
    return damaged(record.identity, row[3:]) if torn else record


def damaged(identity: Identity, row: Row) -> Record:
    """Give a record that nobody can read, as an operator may settle it.

    What of *row* makes sense is kept: above all the fingerprint, without which no
    later request could be told from another.
    """
    created, claimed = _instants(row[6], row[7])
    executions = row[4] if isinstance(row[4], int) else 1
    fields = row[15] if isinstance(row[15], bytes) else b""
    return Record(
        identity=identity,
        status=Status.UNKNOWN,
        guarantee=GUARANTEES.get(row[2], Guarantee.AT_MOST_ONCE),
        owner=b"",
        executions=executions,
        created_at=created,
        claimed_at=claimed,
        lease_for=0.0,
        lease_until=claimed,
        fingerprint=_readable_fingerprint(row[13], row[14]),
        fields=fields,
        reason="unreadable",
    )


def _instants(created: object, after: object) -> tuple[float, float]:
    if isinstance(created, int) and isinstance(after, int):
        return created / 1000, (created + after) / 1000
    return 0.0, 0.0


def _readable_fingerprint(scheme: object, digest: object) -> Fingerprint | None:
    if isinstance(scheme, str) and isinstance(digest, bytes) and scheme and digest:
        return Fingerprint(scheme, digest)
    return None


def _record(identity: Identity, row: Row, result: StoredResult | None) -> Record:
    try:
        created, after, lease_for, lease_until, ended, expires, late = row[6:13]
        claimed = created + after
        claimed_at = claimed / 1000
        return Record(
            identity,
            STATUSES[row[1]],
            GUARANTEES[row[2]],
            row[3],
            row[4] + 0,
            created / 1000,
            claimed_at,
            lease_for + 0.0,
            row[5] + 0,
            claimed_at + lease_for if lease_until is None else lease_until + 0.0,
            None if row[13] is None else Fingerprint(row[13], row[14] + b""),
            b"" if row[15] is None else row[15],
            None if ended is None else (claimed + ended) / 1000,
            None if expires is None else expires / 1000,
            None if late is None else (expires + late) / 1000,
            result,
            row[16],
            row[17],
            b"" if row[19] is None else row[19] + b"",
            row[20] + 0,
        )
    except (KeyError, TypeError) as exc:
        raise unreadable(identity) from exc


def audit_columns(audit: AuditRow) -> tuple[Any, ...]:
    """Give the columns of *audit*."""
    at = milliseconds(audit.at)
    before = audit.before
    return (at, audit.actor, audit.action, *audit.identity, audit.reason, before)


def audit_of_row(row: Row) -> AuditRow:
    """Read one row of the audit."""
    at, actor, action, scope, operation, key, reason, before = row
    identity = Identity(scope, operation, key)
    return AuditRow(at / 1000, actor, action, identity, reason, before)
