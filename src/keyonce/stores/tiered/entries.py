# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A completed record as the content of a cache entry, and back.

    content = numbers lengths texts
    numbers = flags:1 executions:4 crashes:4 instants:8 × 8
    texts   = scope operation key guarantee owner scheme digest fields
              reference reason result

Numbers are big-endian, each text has its length of four bytes in *lengths*. The
result is a frame of ``keyonce.core.codec``. Nothing here is trusted: whoever reads
asks for one identity and gets that or nothing.
"""

from __future__ import annotations

import struct
from typing import Final

from keyonce.core.codec import decode, encode
from keyonce.core.errors import RecordUnreadable
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Fingerprint, Identity, Record
from keyonce.core.states import Status

NEVER: Final = float("inf")

_NUMBERS: Final = struct.Struct(">BII8d")
_LENGTHS: Final = struct.Struct(">11I")
_FINGERPRINT: Final = 1
_REFERENCE: Final = 2
_REASON: Final = 4


class Refused(Exception):
    """An entry that is not what was asked for: torn, forged, or of another kind."""


def written(record: Record, until: float) -> bytes:
    """Write a completed *record* with its result, to be served before *until*.

    Raises:
        StoreError: its result is none that could be sent.
    """
    assert record.result is not None  # noqa: S101 - see `procedures`
    scheme, digest = record.fingerprint or ("", b"")
    flags = _FINGERPRINT if record.fingerprint is not None else 0
    flags |= _REFERENCE if record.reference is not None else 0
    flags |= _REASON if record.reason is not None else 0
    numbers = _NUMBERS.pack(
        flags,
        record.executions,
        record.crashes,
        record.created_at,
        record.claimed_at,
        record.lease_for,
        record.lease_until,
        _or_never(record.ended_at),
        _or_never(record.expires_at),
        _or_never(record.late_until),
        until,
    )
    texts = (
        *(part.encode() for part in record.identity),
        record.guarantee.encode(),
        record.owner,
        scheme.encode(),
        digest,
        record.fields,
        (record.reference or "").encode(),
        (record.reason or "").encode(),
        encode(record.result),
    )
    return b"".join((numbers, _LENGTHS.pack(*map(len, texts)), *texts))


def read(content: bytes, identity: Identity) -> tuple[Record, float]:
    """Read the record of *identity*, and until when it may be served.

    Raises:
        Refused: it is torn, or holds the record of another identity.
    """
    try:
        return _read(content, identity)
    except (struct.error, ValueError, RecordUnreadable) as error:
        raise Refused("torn") from error


def _read(content: bytes, identity: Identity) -> tuple[Record, float]:
    flags, executions, crashes, *instants = _NUMBERS.unpack_from(content)
    texts = _cut(content)
    if Identity(*(part.decode() for part in texts[:3])) != identity:
        raise Refused("identity")
    guarantee, owner, scheme, digest, fields, reference, reason, result = texts[3:]
    created_at, claimed_at, lease_for, lease_until, *ends = instants
    ended_at, expires_at, late_until, until = ends
    record = Record(
        identity=identity,
        status=Status.COMPLETED,
        guarantee=Guarantee(guarantee.decode()),
        owner=owner,
        executions=executions,
        created_at=created_at,
        claimed_at=claimed_at,
        lease_for=lease_for,
        crashes=crashes,
        lease_until=lease_until,
        fingerprint=(
            Fingerprint(scheme.decode(), digest) if flags & _FINGERPRINT else None
        ),
        fields=fields,
        ended_at=_unless_never(ended_at),
        expires_at=_unless_never(expires_at),
        late_until=_unless_never(late_until),
        result=decode(result),
        reference=reference.decode() if flags & _REFERENCE else None,
        reason=reason.decode() if flags & _REASON else None,
    )
    return record, until


def _cut(content: bytes) -> list[bytes]:
    at = _NUMBERS.size
    lengths = _LENGTHS.unpack_from(content, at)
    at += _LENGTHS.size
    if at + sum(lengths) != len(content):
        raise Refused("torn")
    texts = []
    for length in lengths:
        texts.append(content[at : at + length])
        at += length
    return texts


def _or_never(instant: float | None) -> float:
    return NEVER if instant is None else instant


def _unless_never(instant: float) -> float | None:
    return None if instant == NEVER else instant
