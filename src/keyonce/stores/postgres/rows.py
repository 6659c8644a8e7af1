# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A record as the columns of one row, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.core.codec import decode, encode
from keyonce.core.errors import RecordUnreadable, StoreError
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import AuditRow, Fingerprint, Identity, Record
from keyonce.core.states import Status
from keyonce.stores.shell import damaged, unreadable

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

RESULT: Final = 17  # of a completed record; of any other its steps
NOW: Final = 18
FLAG: Final = 19

LONGEST: Final = 2600  # bytes that one entry of an index holds
_SURELY_SHORT: Final = LONGEST // 4


def texts_of(identity: Identity) -> tuple[str, str, str]:
    """Give the identity as PostgreSQL can keep it: in order, and without NUL.

    Raises:
        StoreError: it is too long, or no text that UTF-8 can hold.
    """
    scope, operation, key = identity
    joined = scope + operation + key
    if len(joined) > _SURELY_SHORT or not joined.isascii():
        _check(joined)
    if "\0" in joined or "\1" in joined:
        return _without_nul(scope), _without_nul(operation), _without_nul(key)
    return identity


def _check(joined: str) -> None:
    try:
        length = len(joined.encode())
    except UnicodeEncodeError as error:
        message = "A key, operation or scope is no text that UTF-8 can hold."
        raise StoreError(message) from error
    if length > LONGEST:
        raise StoreError(
            f"Scope, operation and key have {length} bytes together. PostgreSQL "
            f"finds a record by at most {LONGEST}: take a shorter scope or operation."
        )


def _without_nul(text: str) -> str:
    return text.replace("\1", "\1\2").replace("\0", "\1\1")


def identity_of(scope: str, operation: str, key: str) -> Identity:
    """Read what `texts_of` wrote."""
    if "\1" in scope + operation + key:
        return Identity(_with_nul(scope), _with_nul(operation), _with_nul(key))
    return Identity(scope, operation, key)


def _with_nul(text: str) -> str:
    return text.replace("\1\1", "\0").replace("\1\2", "\1")


def record_of(identity: Identity, row: Row) -> Record:
    """Read a whole row, from `status` to the clock.

    Raises:
        RecordUnreadable: it is torn, forged or from a newer version.
    """
    record = outline_of(identity, row)
    if record.status is not Status.COMPLETED:
        return record
    if row[RESULT] is not None:
        return record._replace(result=decode(row[RESULT]))
    # An outcome may go before its record does, but not before its time.
    if record.expires_at is None or row[NOW] < record.expires_at:
        raise unreadable(identity)
    return record


def outline_of(identity: Identity, row: Row) -> Record:
    """Read a row without its result.

    Raises:
        RecordUnreadable: a column makes no sense.
    """
    try:
        status = STATUSES[row[0]]
        return Record(
            identity,
            status,
            GUARANTEES[row[1]],
            row[2],
            row[3],
            row[5],
            row[6],
            row[7],
            row[4],
            row[6] + row[7] if row[8] is None else row[8],
            None if row[12] is None else Fingerprint(row[12], row[13] + b""),
            row[14] or b"",
            row[9],
            row[10],
            row[11],
            None,
            row[15],
            row[16],
            b"" if status is Status.COMPLETED else row[RESULT] or b"",
        )
    except (KeyError, TypeError) as exc:
        raise unreadable(identity) from exc


def listing_of(row: Row) -> Record:
    """Read a row of a listing: what cannot be read is unknown and says so."""
    identity = identity_of(*row[:3])
    try:
        return outline_of(identity, row[3:])
    except RecordUnreadable:
        return damaged(identity)


def columns_of(record: Record) -> tuple[Any, ...]:
    """Give the columns of *record* from `status` to `result`, and `steps`."""
    fingerprint = record.fingerprint
    return (
        int(record.status),
        NUMBERS[record.guarantee],
        record.owner,
        record.executions,
        record.crashes,
        record.created_at,
        record.claimed_at,
        record.lease_for,
        None if record.status in CLOSED else record.lease_until,
        record.ended_at,
        record.expires_at,
        record.late_until,
        None if fingerprint is None else fingerprint.scheme,
        None if fingerprint is None else fingerprint.digest,
        record.fields or None,
        record.reference,
        record.reason,
        None if record.result is None else encode(record.result),
        record.steps or None,
    )


def audit_columns(audit: AuditRow) -> tuple[Any, ...]:
    """Give the columns of *audit*."""
    identity = texts_of(audit.identity)
    return (
        audit.at,
        audit.actor,
        audit.action,
        *identity,
        audit.reason,
        audit.before,
    )


def audit_of_row(row: Row) -> AuditRow:
    """Read one row of the audit."""
    at, actor, action, scope, operation, key, reason, before = row
    identity = identity_of(scope, operation, key)
    return AuditRow(at, actor, action, identity, reason, before)
