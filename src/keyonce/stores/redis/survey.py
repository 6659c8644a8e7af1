# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs of operators: they walk over the keys, off the request path.

There is no index of records: it would cost every request, and a Cluster could not
keep one beside records of other slots. A walk is many short SCANs, so nobody
waits for it; it sees every record that is there from its beginning to its end.
"""

from __future__ import annotations

from heapq import nsmallest
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import RecordUnreadable
from keyonce.core.model import Identity, StoreStats
from keyonce.stores.redis.keys import identity_of
from keyonce.stores.redis.rows import (
    audit_of_row,
    instants,
    outline_of,
    record_of,
)
from keyonce.stores.redis.words import (
    Now,
    Outlines,
    Position,
    Rows,
    ScriptCall,
    Sizes,
    Walk,
)
from keyonce.stores.shell import counted_as, damaged, has_expired, listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import AuditRow, Query, Record
    from keyonce.core.states import Status
    from keyonce.stores.redis.keys import Names
    from keyonce.stores.redis.words import Procedure

START: Final = Position()
WEIGHED: Final = 1000


def records(names: Names, query: Query) -> Procedure[list[Record]]:
    """List the first records that *query* asks for, keeping no more than these."""
    now: float = yield Now()
    scope, operation, key = query.scope, query.operation, query.key
    if scope is not None and operation is not None and key is not None:
        named = (names.record(Identity(scope, operation, key)),)
        found = yield from _outlines(named, now)
        return list(islice(listed(found, query, now), query.limit))
    chosen: dict[Identity, Record] = {}
    pattern = names.records_like(scope)
    position: Position | None = START
    while position is not None:
        page, position = yield Walk(pattern, position)
        wanted = tuple(name for name in page if _may_match(identity_of(name), query))
        for record in listed((yield from _outlines(wanted, now)), query, now):
            chosen[record.identity] = record
        if len(chosen) > query.limit:
            first = nsmallest(query.limit, chosen)
            chosen = {identity: chosen[identity] for identity in first}
    return sorted(chosen.values(), key=attrgetter("identity"))


def _may_match(identity: Identity | None, query: Query) -> bool:
    return (
        identity is not None
        and query.scope in (None, identity.scope)
        and query.operation in (None, identity.operation)
        and query.key in (None, identity.key)
        and (query.after is None or query.after < identity)
    )


def _outlines(page: tuple[bytes, ...], now: float) -> Procedure[list[Record]]:
    """Read the records of *page*; those that went away meanwhile are left out."""
    found = []
    for name, fields in zip(page, (yield Outlines(page)), strict=True):
        identity = identity_of(name)
        if identity is None:
            continue
        record: Record | None = outline_of(identity, fields)
        if record == damaged(identity):
            record = yield from _looked_at_again(name, identity, now)
        if record is not None:
            found.append(record)
    return found


def _looked_at_again(
    name: bytes, identity: Identity, now: float
) -> Procedure[Record | None]:
    """Read what seemed damaged in one step: it may have changed between two."""
    try:
        told = yield ScriptCall("find", (name,), (instants(now),))
        return None if told is None else record_of(identity, told)
    except RecordUnreadable:
        return damaged(identity)


def audits(names: Names, identity: Identity | None) -> Procedure[list[AuditRow]]:
    """List operator actions, newest first."""
    if identity is not None:
        return (yield from _audits_in(names.audit(identity), identity))
    found: dict[bytes, list[AuditRow]] = {}
    position: Position | None = START
    while position is not None:
        page, position = yield Walk(names.audits_like(), position)
        for name in page:
            whose = identity_of(name)
            if whose is not None:
                found[name] = yield from _audits_in(name, whose)
    rows = [row for of_one in found.values() for row in of_one]
    return sorted(rows, key=attrgetter("at"), reverse=True)


def _audits_in(name: bytes, identity: Identity) -> Procedure[list[AuditRow]]:
    return [audit_of_row(identity, row) for row in (yield Rows(name))]


def stats(names: Names) -> Procedure[StoreStats]:
    """Count every record; weigh a thousand of them, and say what all may occupy."""
    now: float = yield Now()
    counts: dict[Status, int] = {}
    oldest: dict[Status, float] = {}
    expired, weights, outcomes = 0, list[int](), 0
    position: Position | None = START
    while position is not None:
        page, position = yield Walk(names.records_like(None), position)
        page = tuple(name for name in page if identity_of(name) is not None)
        for record in (yield from _outlines(page, now)):
            status = counted_as(record, now)
            expired += has_expired(record, now)
            counts[status] = counts.get(status, 0) + 1
            oldest[status] = min(oldest.get(status, now), record.claimed_at)
        sample = page[: WEIGHED - len(weights)]
        if sample:
            weights += [size for size in (yield Sizes(sample)) if size is not None]
            outcomes += sum(fields[-1] for fields in (yield Outlines(sample)))
    if not weights:
        return StoreStats(counts, oldest, None, now, expired)
    times = sum(counts.values()) / len(weights)
    whole, of_outcomes = round(sum(weights) * times), round(outcomes * times)
    return StoreStats(
        counts,
        oldest,
        whole,
        now,
        expired=expired,
        record_bytes=whole - of_outcomes,
        outcome_bytes=of_outcomes,
        index_bytes=0,
    )


def purge(
    names: Names, limit: int, start: Position, seen: Callable[[Position], None]
) -> Procedure[int]:
    """Remove what has expired, and the outcomes of what late retries still meet.

    Redis removes records by itself, some minutes after their time. The walk begins
    at *start* and tells by *seen* where the next one should; it ends at the limit, or
    when it has been all round.
    """
    now: float = yield Now()
    removed = 0
    walked_from_start = start == START
    position: Position | None = start
    while position is not None:
        seen(position)
        page, following = yield Walk(names.records_like(None), position)
        for record in (yield from _outlines(page, now)):
            if record.expires_at is None or now < record.expires_at:
                continue
            if removed == limit:
                return removed
            name = (names.record(record.identity),)
            removed += yield ScriptCall("purge", name, (instants(now),))
        position = following
        if position is None and not walked_from_start:
            walked_from_start, position = True, START
    seen(START)
    return removed
