# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What every store says alike: listings, counts, audit rows, torn records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.errors import RecordUnreadable
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import AuditRow, Record
from keyonce.core.states import Status
from keyonce.core.transitions import effective_status, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from keyonce.core.errors import StoreError
    from keyonce.core.model import Claim, Claimed, Identity, Query, Settlement


def listed(records: Iterable[Record], query: Query, now: float) -> Iterator[Record]:
    """Give the *records* that *query* asks for, seen through retention.

    A status is asked for as the next attempt would meet it: at-most-once work
    whose lease has ended is found among the unknown.
    """
    for record in records:
        seen = standing(record, now)
        if seen is not None and _matches(seen, query, now):
            yield seen._replace(result=None)


def _matches(record: Record, query: Query, now: float) -> bool:
    scope, operation, key = record.identity
    return (
        query.scope in (None, scope)
        and query.operation in (None, operation)
        and query.key in (None, key)
        and (query.after is None or query.after < record.identity)
        and query.status in (None, effective_status(record, now))
    )


def stored_as(status: Status | None) -> tuple[Status, ...]:
    """Under which stored statuses records of this effective status are found."""
    match status:
        case None:
            return tuple(Status)
        case Status.UNKNOWN:
            return (Status.UNKNOWN, Status.IN_PROGRESS)
        case Status.TOMBSTONE:
            return (Status.TOMBSTONE, Status.COMPLETED)
        case _:
            return (status,)


def counted_as(record: Record, now: float) -> Status:
    """Under which status a stored record is counted: dead work is unknown."""
    if record.status is Status.IN_PROGRESS:
        return effective_status(record, now)
    return record.status


def has_expired(record: Record, now: float) -> bool:
    """Whether a stored record only waits to be purged, or made a tombstone."""
    return record.expires_at is not None and record.expires_at <= now


def audit_of(command: Settlement, before: Record | None, now: float) -> AuditRow:
    """Tell for the audit what an operator did to *before*."""
    return AuditRow(
        at=now,
        actor=command.actor,
        action=_action(command),
        identity=command.identity,
        reason=command.reason,
        before="absent" if before is None else before.status.word,
    )


def _action(command: Settlement) -> str:
    if command.forgets:
        return "forget"
    return "release" if command.result is None else "resolve"


def unreadable(identity: Identity) -> RecordUnreadable:
    """Say that a record is there but cannot be read."""
    return RecordUnreadable(
        f"A record in scope {identity.scope!r} cannot be read: it is torn, was "
        "changed by another program, or is from a newer keyonce. Nothing was run. "
        "'keyonce keys list' shows it as unknown; resolve or release it."
    )


def damaged(identity: Identity) -> Record:
    """Give a record that nobody can read, as an operator may settle it."""
    return Record(
        identity=identity,
        status=Status.UNKNOWN,
        guarantee=Guarantee.AT_MOST_ONCE,
        owner=b"",
        executions=1,
        created_at=0.0,
        claimed_at=0.0,
        lease_for=0.0,
        reason="unreadable",
    )


def unanswered(
    commands: Sequence[Claim], seen: Sequence[Claimed | StoreError | None]
) -> list[Claim]:
    """Give the claims of a batch that a first look does not answer."""
    return [
        command
        for command, answer in zip(commands, seen, strict=True)
        if answer is None
    ]


def answered(
    seen: Sequence[Claimed | StoreError | None],
    later: Sequence[Claimed | StoreError],
) -> list[Claimed | StoreError]:
    """Give the answers of a batch, with those that came *later* in their places."""
    rest = iter(later)
    return [next(rest) if answer is None else answer for answer in seen]
