# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A record as the scripts tell it, and as the server keeps it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.codec import decode
from keyonce.core.errors import RecordUnreadable
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import (
    AuditRow,
    Claimed,
    Fingerprint,
    Identity,
    Record,
    StoredResult,
)
from keyonce.core.netstring import netstring
from keyonce.core.states import Status
from keyonce.stores.shell import damaged, unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.core.model import Claim, Settlement

NEVER: Final = float("inf")
FORM: Final = 1

# The numbers are stored; never reuse one.
GUARANTEES: Final = {
    1: Guarantee.EXACTLY_ONCE,
    2: Guarantee.RESUME,
    3: Guarantee.AT_MOST_ONCE,
    4: Guarantee.AT_LEAST_ONCE,
}
NUMBERS: Final = {guarantee: number for number, guarantee in GUARANTEES.items()}
STATUSES: Final = {int(status): status for status in Status}

_CLOCK: Final = struct.Struct(">d")
_HEAD: Final = struct.Struct(">BBBIHddddddd")
_TERMS: Final = struct.Struct(">BdIdd")
_AUDIT: Final = struct.Struct(">dB")
_LONGEST_LENGTH: Final = 8
_STATUS_AT: Final = 9  # behind the clock and the form

LEFT_BEHIND: Final = 3  # head, reference, steps

Told = list[Any]


def instants(*values: float | None) -> bytes:
    """Write instants or spans for a script; None is for ever, or the server's clock."""
    times = [NEVER if value is None else value for value in values]
    return struct.pack(f">{len(times)}d", *times)


def terms_of(command: Claim, now: float | None) -> bytes:
    """Write what a claim asks for."""
    witnessed = command.witnessed
    return _TERMS.pack(
        NUMBERS[command.guarantee],
        command.lease_for,
        command.max_crashes,
        NEVER if witnessed is None else witnessed,
        NEVER if now is None else now,
    )


def fingerprint_bytes(fingerprint: Fingerprint) -> bytes:
    """Write a fingerprint; equal fingerprints are equal bytes."""
    scheme, digest = fingerprint
    return netstring(scheme.encode()) + digest


def clock_of(told: Told) -> float:
    """Read the server's clock in what was told."""
    now: float = _CLOCK.unpack_from(told[0])[0]
    return now


def begun(command: Claim, told: Told, fields: bytes) -> Claimed:
    """Read a claim that was given the key: the rest is what it brought along.

    Or what was left behind: a reference, and steps.
    """
    identity, head, reference, steps = command.identity, told[0], None, b""
    if len(told) == LEFT_BEHIND:
        reference = None if told[1] is None else told[1].decode()
        steps = told[2] or b""
    record = _record(
        identity, head, command.fingerprint, fields, None, reference, None, steps
    )
    return Claimed(record, clock_of(told))


def claimed_of(identity: Identity, told: Told) -> Claimed:
    """Read a record and the clock beside it.

    Raises:
        RecordUnreadable: it is torn, forged or from a newer version.
    """
    return Claimed(record_of(identity, told), clock_of(told))


def record_of(identity: Identity, told: Told) -> Record:
    """Read a whole record.

    Raises:
        RecordUnreadable: it is torn, forged or from a newer version.
    """
    head, digest, fields, kept, reference, reason = told
    if head[_STATUS_AT] != Status.COMPLETED:
        steps = kept or b""
        return _whole(identity, head, digest, fields, None, reference, reason, steps)
    if kept is None:
        raise unreadable(identity)
    result = decode(kept)
    return _whole(identity, head, digest, fields, result, reference, reason)


def shut_of(identity: Identity, told: Told) -> Record:
    """Read a record without its outcome and steps."""
    head, digest, fields, _, reference, reason = told
    return _whole(identity, head, digest, fields, None, reference, reason)


def completed_of(identity: Identity, told: Told, result: StoredResult) -> Record:
    """Read a record that was completed with *result* just now."""
    head, digest, fields, reference = told
    return _whole(identity, head, digest, fields, result, reference, None)


def outline_of(identity: Identity, fields: Sequence[Any]) -> Record:
    """Read a record for people: what cannot be read is unknown and says so."""
    head, digest, field_map, reference, reason, length = fields
    try:
        if head is None or head[:1] != b"%c" % FORM:
            raise unreadable(identity)
        told = _CLOCK.pack(0.0) + head
        record = _whole(identity, told, digest, field_map, None, reference, reason)
    except RecordUnreadable:
        return damaged(identity)
    torn = record.status is Status.COMPLETED and not length
    return damaged(identity) if torn else record


def _whole(
    identity: Identity,
    head: bytes,
    digest: bytes | None,
    fields: bytes | None,
    result: StoredResult | None,
    reference: bytes | None,
    reason: bytes | None,
    steps: bytes = b"",
) -> Record:
    try:
        return _record(
            identity,
            head,
            None if digest is None else _fingerprint(digest),
            b"" if fields is None else fields,
            result,
            None if reference is None else reference.decode(),
            None if reason is None else reason.decode(),
            steps,
        )
    except (KeyError, ValueError, struct.error) as exc:
        raise unreadable(identity) from exc


def _record(
    identity: Identity,
    head: bytes,
    fingerprint: Fingerprint | None,
    fields: bytes,
    result: StoredResult | None,
    reference: str | None,
    reason: str | None,
    steps: bytes,
) -> Record:
    (
        _,
        status,
        guarantee,
        executions,
        crashes,
        created_at,
        claimed_at,
        lease_for,
        lease_until,
        ended_at,
        expires_at,
        late_until,
    ) = _HEAD.unpack_from(head, _CLOCK.size)
    return Record(  # by position: one is made for every request
        identity,
        STATUSES[status],
        GUARANTEES[guarantee],
        head[_CLOCK.size + _HEAD.size :],
        executions,
        created_at,
        claimed_at,
        lease_for,
        crashes,
        lease_until,
        fingerprint,
        fields,
        None if ended_at == NEVER else ended_at,
        None if expires_at == NEVER else expires_at,
        None if late_until == NEVER else late_until,
        result,
        reference,
        reason,
        steps,
    )


def _fingerprint(written: bytes) -> Fingerprint:
    colon = written.index(b":", 0, _LONGEST_LENGTH)
    start = colon + 1
    end = start + int(written[:colon])
    return Fingerprint(written[start:end].decode(), written[end:])


def audit_text(command: Settlement, action: str) -> bytes:
    """Write what the audit keeps beside the instant and the status before."""
    texts = (command.actor, action, command.reason)
    return b"".join([netstring(text.encode()) for text in texts])


def audit_of_row(identity: Identity, row: bytes) -> AuditRow:
    """Read one row of the audit.

    Raises:
        RecordUnreadable: it is torn or forged.
    """
    try:
        at, before = _AUDIT.unpack_from(row)
        actor, action, reason = _texts(row[_AUDIT.size :])
        word = STATUSES[before].word
    except (KeyError, ValueError, struct.error) as exc:
        raise unreadable(identity) from exc
    return AuditRow(at, actor, action, identity, reason, word)


def _texts(written: bytes) -> list[str]:
    texts = []
    at = 0
    while at < len(written):
        start = written.index(b":", at) + 1
        at, begin = start + int(written[at : start - 1]), start
        texts.append(written[begin:at].decode())
    return texts
