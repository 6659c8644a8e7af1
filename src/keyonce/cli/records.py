# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A record as rows for people and as fields for programs."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from keyonce.cli.output import instant, maybe, plain, size, span
from keyonce.core.states import Status
from keyonce.core.transitions import effective_status

if TYPE_CHECKING:
    from keyonce.core.model import AuditRow, Record, StoredResult

STYLES: Final = {
    Status.IN_PROGRESS: "cyan",
    Status.COMPLETED: "green",
    Status.UNKNOWN: "bold yellow",
    Status.RELEASED: "dim",
    Status.TOMBSTONE: "dim",
}


def fields_of(record: Record, now: float) -> dict[str, Any]:
    """Give what a listing says of *record*; instants in UTC, spans in seconds."""
    return {
        "key": record.identity.key,
        "operation": record.identity.operation,
        "scope": record.identity.scope,
        "status": effective_status(record, now).word,
        "stored_status": record.status.word,
        "reason": record.reason,
        "guarantee": record.guarantee.value,
        "executions": record.executions,
        "crashes": record.crashes,
        "created_at": instant(record.created_at),
        "claimed_at": instant(record.claimed_at),
        "lease_until": _lease(record),
        "ended_at": maybe(instant, record.ended_at),
        "expires_at": maybe(instant, record.expires_at),
        "late_until": maybe(instant, record.late_until),
        "reference": record.reference,
    }


def story_of(
    record: Record, audits: list[AuditRow], now: float, *, body: bool, shut: str = ""
) -> dict[str, Any]:
    """Give all that is known of *record*; the body's bytes only if *body* is set.

    *shut* says why the answer could not be opened, if so: then it is left out.
    """
    story = fields_of(record, now)
    story["fingerprint_scheme"] = record.fingerprint and record.fingerprint.scheme
    story["response"] = record.result and _response(record.result, body=body, shut=shut)
    story["audit"] = [audit_fields(row) for row in audits]
    return story


def audit_fields(row: AuditRow) -> dict[str, Any]:
    """Give one operator action."""
    return {
        "at": instant(row.at),
        "actor": row.actor,
        "action": row.action,
        "reason": row.reason,
        "before": row.before,
    }


def _response(result: StoredResult, *, body: bool, shut: str) -> dict[str, Any]:
    if shut:
        sealed = result.sealed or None
        return {"status": result.status, "sealed": sealed, "unreadable": shut}
    if result.sealed:
        return {"status": result.status, "sealed": result.sealed}
    answer: dict[str, Any] = {
        "status": result.status,
        "headers": [
            [n.decode("latin-1"), v.decode("latin-1")] for n, v in result.headers
        ],
        "kept": result.kept,
        "size": _sent(result),
    }
    if result.kept:
        answer["body_sha256"] = hashlib.sha256(result.body).hexdigest()
    if body and result.kept:
        answer["body_base64"] = b64encode(result.body).decode("ascii")
    return answer


def _sent(result: StoredResult) -> int:
    return len(result.body) if result.kept else result.size


def _lease(record: Record) -> str | None:
    return instant(record.lease_until) if record.status is Status.IN_PROGRESS else None


def status_text(record: Record, now: float, *, apart: str = " ") -> Text:
    """Write the status that the next attempt would meet, and why, if it is known."""
    status = effective_status(record, now)
    text = Text(status.word, style=STYLES[status])
    reason = record.reason or ("lease-ended" if status is not record.status else None)
    if reason is not None:
        text.append_text(Text(apart).append_text(plain(f"({reason})", "dim")))
    return text


def rows_of(record: Record, now: float) -> list[tuple[str, Text]]:
    """Write the story of *record* as names and values."""
    rows = [
        ("key", plain(record.identity.key, "bold")),
        ("operation", plain(record.identity.operation)),
        ("scope", plain(record.identity.scope)),
        ("status", status_text(record, now)),
        ("guarantee", plain(record.guarantee)),
        ("executions", plain(_runs(record))),
        ("first seen", _moment(record.created_at, now)),
        ("claimed", _moment(record.claimed_at, now)),
    ]
    if record.status is Status.IN_PROGRESS:
        rows.append(("lease until", _moment(record.lease_until, now)))
    for name, at in (
        ("ended", record.ended_at),
        ("expires", record.expires_at),
        ("late until", record.late_until),
    ):
        if at is not None:
            rows.append((name, _moment(at, now)))
    if record.reference is not None:
        rows.append(("reference", plain(record.reference)))
    return rows


def _runs(record: Record) -> str:
    if not record.crashes:
        return str(record.executions)
    return f"{record.executions} (the last {record.crashes} vanished without a word)"


def _moment(at: float, now: float) -> Text:
    far = f"{span(now - at)} ago" if at <= now else f"in {span(at - now)}"
    return plain(instant(at)).append(f"  {far}", style="dim")


def answer_rows(result: StoredResult, *, shut: str = "") -> list[tuple[str, Text]]:
    """Write the head of the stored answer, or why it is *shut*."""
    rows = [("answer", plain(_status_line(result.status), "bold"))]
    if shut:
        return [*rows, ("", plain(shut, "yellow"))]
    if result.sealed:
        told = f"sealed under the key {result.sealed!r}: it opens with 'sealed+'"
        mend = "before the store's URL, and the key in KEYONCE_SEAL_KEYS"
        return [*rows, ("", plain(f"{told} {mend}"))]
    rows += [
        ("", plain(f"{name.decode('latin-1')}: {value.decode('latin-1')}"))
        for name, value in result.headers
    ]
    kept = "" if result.kept else " (too large: not kept)"
    rows.append(("body", plain(f"{size(_sent(result))}{kept}")))
    return rows


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def body_text(body: bytes) -> Text:
    """Write a body for a terminal: its lines escaped, or its bytes if it is no text."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return plain(body.hex(" ", -4))
    return Text("\n").join(plain(line) for line in text.split("\n"))
