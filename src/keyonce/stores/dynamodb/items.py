# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A record as one DynamoDB item, and back."""

from __future__ import annotations

from binascii import crc32
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING, Final

from keyonce.core.codec import decode, encode
from keyonce.core.errors import RecordUnreadable, StoreError
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import AuditRow, Fingerprint, Identity, Record
from keyonce.core.states import Status
from keyonce.stores.shell import damaged, unreadable

if TYPE_CHECKING:
    from keyonce.core.model import StoredResult
    from keyonce.stores.dynamodb.calls import Item, Value, Where

RECORD: Final = "record"
AUDIT: Final = "audit"
OPEN: Final = frozenset({Status.IN_PROGRESS, Status.UNKNOWN})

# Work in progress is spread over so many partitions of the index of open records.
SHARDS: Final = 8

# DynamoDB's own expiry only sweeps up: never before the last of our clocks agrees.
SWEPT_AFTER: Final = 3600

# DynamoDB allows a partition key of 2048 bytes.
LONGEST_NAME: Final = 1024

# All but outcome and steps, which a listing leaves where they are.
OUTLINE: Final = (
    *("id", "part", "scope", "operation", "key", "status", "guarantee", "owner"),
    *("executions", "crashes", "created_at", "claimed_at", "lease_for", "lease_until"),
    *("scheme", "digest", "fields", "ended_at", "expires_at", "late_until"),
    *("reference", "reason", "noted"),
)

# What tells one state of a record from the next; `noted` counts what its owner noted.
_VERSION: Final = ("status", "owner", "lease_until", "expires_at", "noted")


def number(value: float) -> Value:
    """Write a number; DynamoDB keeps 38 digits, so a float comes back as it went."""
    return {"N": repr(value)}


def text(value: str) -> Value:
    """Write a text."""
    return {"S": value}


def binary(value: bytes) -> Value:
    """Write bytes."""
    return {"B": value}


def key_of(identity: Identity) -> Item:
    """Give the primary key of the record of *identity*."""
    return {"id": text(f"{RECORD}:{name_of(identity)}"), "part": text(RECORD)}


def audit_id(identity: Identity) -> Value:
    """Give the partition key of what operators did to *identity*."""
    return text(f"{AUDIT}:{name_of(identity)}")


def name_of(identity: Identity) -> str:
    """Write *identity* as one text that no other identity has.

    Each part follows its length. What is too long for a key is named by its
    SHA-256; it has no digit in front, so it is not mistaken for the other form.

    Raises:
        StoreError: it is no text that UTF-8 can hold.
    """
    name = "".join(f"{len(part)}:{part}" for part in identity)
    try:
        data = name.encode()
    except UnicodeEncodeError as error:
        message = "A key, operation or scope is no text that UTF-8 can hold."
        raise StoreError(message) from error
    if len(data) <= LONGEST_NAME:
        return name
    return f"sha256:{sha256(data).hexdigest()}"


def shards() -> list[Value]:
    """Give every partition of the index of open records."""
    return [text(str(shard)) for shard in range(SHARDS)]


def item_of(record: Record) -> Item:
    """Write *record* as a whole item."""
    item = key_of(record.identity)
    if record.status in OPEN:
        shard = crc32(item["id"]["S"].encode()) % SHARDS
        item["open"] = text(str(shard))
    item |= {name: text(part) for name, part in record.identity._asdict().items()}
    item |= {
        "status": number(int(record.status)),
        "guarantee": text(record.guarantee.value),
        "executions": number(record.executions),
        "crashes": number(record.crashes),
        "created_at": number(record.created_at),
        "claimed_at": number(record.claimed_at),
        "lease_for": number(record.lease_for),
        "lease_until": number(record.lease_until),
    }
    if record.fingerprint is not None:
        item["scheme"] = text(record.fingerprint.scheme)
        item["digest"] = binary(record.fingerprint.digest)
    return item | _optional(record)


def _optional(record: Record) -> Item:
    item = ending_of(record.ended_at, record.expires_at, record.late_until)
    if record.owner:
        item["owner"] = binary(record.owner)
    if record.fields:
        item["fields"] = binary(record.fields)
    if record.result is not None:
        item["result"] = binary(encode(record.result))
    if record.reference is not None:
        item["reference"] = text(record.reference)
    if record.reason is not None:
        item["reason"] = text(record.reason)
    if record.steps:
        item["steps"] = binary(record.steps)
    return item


def ending_of(
    ended_at: float | None, expires_at: float | None, late_until: float | None
) -> Item:
    """Write when a record ended, and until when it is kept."""
    instants = {
        "ended_at": ended_at,
        "expires_at": expires_at,
        "late_until": late_until,
    }
    item = {name: number(at) for name, at in instants.items() if at is not None}
    if expires_at is not None:
        item["ttl"] = number(ceil(late_until or expires_at) + SWEPT_AFTER)
    return item


def unchanged(item: Item) -> Where:
    """Ask that a record still is as *item* was read."""
    return {name: [item[name]] if name in item else [] for name in _VERSION}


def record_of(identity: Identity, item: Item) -> Record:
    """Read the whole item of *identity*.

    Raises:
        RecordUnreadable: it is torn, forged or from a newer version.
    """
    try:
        frame = _bytes(item, "result")
    except (KeyError, TypeError) as error:
        raise unreadable(identity) from error
    result = decode(frame) if frame else None
    record = _record(identity, item, result)
    if (record.status is Status.COMPLETED) is (result is None):
        raise unreadable(identity)
    return record


def listing_of(item: Item) -> Record:
    """Read an item for people: what cannot be read is unknown and says so."""
    identity = identity_of(item)
    try:
        return _record(identity, item, None)
    except RecordUnreadable:
        return damaged(identity)


def outline_of(item: Item) -> Record:
    """Read an item without its outcome.

    Raises:
        RecordUnreadable: an attribute makes no sense.
    """
    return _record(identity_of(item), item, None)


def identity_of(item: Item) -> Identity:
    """Read whose key it is, as far as it says so."""
    parts = (item.get(name, {}).get("S", "") for name in Identity._fields)
    return Identity(*parts)


def _record(identity: Identity, item: Item, result: StoredResult | None) -> Record:
    try:
        if identity_of(item) != identity:
            raise unreadable(identity)
        return Record(
            identity=identity,
            status=Status(int(item["status"]["N"])),
            guarantee=Guarantee(item["guarantee"]["S"]),
            owner=_bytes(item, "owner"),
            executions=int(item["executions"]["N"]),
            created_at=float(item["created_at"]["N"]),
            claimed_at=float(item["claimed_at"]["N"]),
            lease_for=float(item["lease_for"]["N"]),
            crashes=int(item["crashes"]["N"]),
            lease_until=float(item["lease_until"]["N"]),
            fingerprint=_fingerprint(item),
            fields=_bytes(item, "fields"),
            ended_at=_instant(item, "ended_at"),
            expires_at=_instant(item, "expires_at"),
            late_until=_instant(item, "late_until"),
            result=result,
            reference=_text(item, "reference"),
            reason=_text(item, "reason"),
            steps=_bytes(item, "steps"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable(identity) from error


def _fingerprint(item: Item) -> Fingerprint | None:
    if "scheme" not in item:
        return None
    return Fingerprint(item["scheme"]["S"], bytes(item["digest"]["B"]))


def _bytes(item: Item, name: str) -> bytes:
    return bytes(item[name]["B"]) if name in item else b""


def _text(item: Item, name: str) -> str | None:
    return str(item[name]["S"]) if name in item else None


def _instant(item: Item, name: str) -> float | None:
    return float(item[name]["N"]) if name in item else None


def audit_item(audit: AuditRow, owner: bytes) -> Item:
    """Write *audit*, sorted by its time; *owner* tells it from its neighbours."""
    part = f"{round(audit.at * 1000):015d}-{owner.hex()}"
    item = {"id": audit_id(audit.identity), "part": text(part)}
    item |= {name: text(value) for name, value in audit.identity._asdict().items()}
    item |= {
        name: text(getattr(audit, name))
        for name in ("actor", "action", "reason", "before")
    }
    return item | {"at": number(audit.at)}


def audit_of_item(item: Item) -> AuditRow:
    """Read one row of the audit."""
    return AuditRow(
        at=float(item["at"]["N"]),
        actor=item["actor"]["S"],
        action=item["action"]["S"],
        identity=identity_of(item),
        reason=item["reason"]["S"],
        before=item["before"]["S"],
    )
