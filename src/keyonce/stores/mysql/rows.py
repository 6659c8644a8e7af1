# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A record as the columns of one row, and back.

A row begins with the server's clock and with whether the statement before it
changed something; the rest are the columns from `status` to `result`, in whose
place a record that is not completed has its steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.core.codec import decode
from keyonce.core.errors import RecordUnreadable, StoreError
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import AuditRow, Fingerprint, Identity, Record, StoredResult
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

LONGEST: Final = {"scope": 1020, "operation": 1024, "key": 1020}  # in bytes

Columns = dict[str, Any]


def microseconds(seconds: float) -> int:
    """Give an instant or a span as it is stored."""
    return round(seconds * 1_000_000)


def seconds(stored: int) -> float:
    """Give a stored instant or span in seconds; the way back is exact."""
    return stored / 1_000_000


def span(wanted: float | None) -> int | None:
    """Give a span as it is stored; None is for ever."""
    return None if wanted is None else microseconds(wanted)


def identity_columns(identity: Identity) -> Columns:
    """Give the columns that name a record.

    Raises:
        StoreError: a part is no text, or is longer than its column, which would cut
            it off where the connection's mode is not strict: two keys would be one.
    """
    try:
        columns = {
            name: part.encode() for name, part in zip(LONGEST, identity, strict=True)
        }
    except UnicodeEncodeError as exc:
        raise StoreError(
            "A key, operation or scope is no text that UTF-8 can hold."
        ) from exc
    for name, stored in columns.items():
        if len(stored) > LONGEST[name]:
            raise StoreError(
                f"A {name} of {len(stored)} bytes is too long for MySQL, which keeps "
                f"{LONGEST[name]}: make it shorter."
            )
    return columns


def fingerprint_columns(record: Record) -> Columns:
    """Give the columns that tell one request from another."""
    fingerprint = record.fingerprint
    return {
        "scheme": None if fingerprint is None else fingerprint.scheme.encode(),
        "digest": None if fingerprint is None else fingerprint.digest,
        "fields": record.fields or None,
    }


def text(words: str | None) -> bytes | None:
    """Give *words* as they are stored."""
    return None if words is None else words.encode()


def word(value: object) -> str:
    """Give a name or a number as text, however the connection reads it."""
    return value.decode() if isinstance(value, bytes) else str(value)


def clock_of(row: Row) -> float:
    """Say when this row was read, on the server's clock."""
    now: int = row[0]
    return seconds(now)


def written(row: Row) -> bool:
    """Say whether the statement before this row changed something."""
    return bool(row[1])


def record_of(
    identity: Identity, row: Row, result: StoredResult | None = None
) -> Record:
    """Read a whole row; *result* is its outcome, where it is known already.

    Raises:
        RecordUnreadable: it is torn, forged or from a newer version.
    """
    if row[2] != Status.COMPLETED:
        return _record(identity, row, None, row[19] or b"")
    if row[19] is not None:
        result = decode(row[19])
    if result is None:
        raise unreadable(identity)
    return _record(identity, row, result)


def listing_of(row: Row) -> Record:
    """Read a row for people: what cannot be read is unknown and says so."""
    identity = identity_of(row)
    try:
        record = _record(identity, row[3:], None)
    except RecordUnreadable:
        return damaged(identity)
    torn = record.status is Status.COMPLETED and not row[22]
    return damaged(identity) if torn else record


def identity_of(row: Row) -> Identity:
    """Read the three columns that a listing begins with."""
    scope, operation, key = (part.decode(errors="replace") for part in row[:3])
    return Identity(scope, operation, key)


def _record(
    identity: Identity, row: Row, result: StoredResult | None, steps: bytes = b""
) -> Record:
    try:
        scheme = _words(row[14])
        return Record(
            identity,
            STATUSES[row[2]],
            GUARANTEES[row[3]],
            row[4],
            row[5],
            seconds(row[7]),
            seconds(row[8]),
            seconds(row[9]),
            row[6],
            seconds(row[10]),
            None if scheme is None else Fingerprint(scheme, row[15]),
            row[16] or b"",
            _instant(row[11]),
            _instant(row[12]),
            _instant(row[13]),
            result,
            _words(row[17]),
            _words(row[18]),
            steps,
        )
    except (KeyError, TypeError, UnicodeDecodeError) as exc:
        raise unreadable(identity) from exc


def _instant(stored: int | None) -> float | None:
    return None if stored is None else seconds(stored)


def _words(stored: bytes | None) -> str | None:
    return None if stored is None else stored.decode()


def audit_columns(audit: AuditRow) -> Columns:
    """Give the columns of *audit*."""
    return identity_columns(audit.identity) | {
        "at": microseconds(audit.at),
        "actor": audit.actor.encode(),
        "action": audit.action.encode(),
        "reason": audit.reason.encode(),
        "before": audit.before.encode(),
    }


def audit_of_row(row: Row) -> AuditRow:
    """Read one row of the audit."""
    at, *words = row
    actor, action, scope, operation, key, reason, before = (
        word.decode() for word in words
    )
    identity = Identity(scope, operation, key)
    return AuditRow(seconds(at), actor, action, identity, reason, before)
