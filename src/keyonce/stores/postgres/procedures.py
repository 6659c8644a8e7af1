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
from keyonce.core.errors import RecordUnreadable, StoreError, StoreUnavailable
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
    listing_of,
    outline_of,
    record_of,
    texts_of,
)
from keyonce.stores.postgres.steps import Pause, Prompt, Script
from keyonce.stores.shell import (
    answered,
    audit_of,
    damaged,
    listed,
    stored_as,
    unanswered,
)
from keyonce.stores.statement import Row, Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.core.model import (
        AuditRow,
        Claim,
        Completion,
        Note,
        Record,
        Settlement,
    )
    from keyonce.stores.postgres.steps import Steps

PAGE: Final = 500
BEGINNING: Final = float("-inf")
ROUNDS: Final = 20  # of purging renewals
CURRENT: Final = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
TRIES: Final = 12  # of an answer that was overtaken
LOOKS: Final = 6  # at a lease that another may be taking over; a tenth of a second
PLACE: Final = 19  # the column of a claim's place in its batch, from 1 on
UNTIL: Final = 8  # the column of a lease's end
COUNTED: Final = 8192  # pages: 64 MiB are counted in less than half a second
SAMPLED: Final = 4096  # of more than that; some fifty thousand records
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
        rows = yield Prompt(Statement("claim", values_of(command, at)))
        if rows and not rows[0][FLAG]:
            return claimed_of(command.identity, rows[0])
        yield from _give_way(command, at)
        command, known = command._replace(witnessed=None), True
    seen = yield from _first_look(command, at, known=known)
    if seen is not None:
        return seen
    return (yield from _claimed(command, at))


def _claimed(command: Claim, at: float | None) -> Steps[Claimed]:
    values = values_of(command, at)
    for _ in range(TRIES):
        rows = yield Statement("claim", values)
        if rows and not rows[0][FLAG]:
            return claimed_of(command.identity, rows[0])
        yield Pause()
    raise overtaken()


def claim_many(
    commands: Sequence[Claim], at: float | None
) -> Steps[list[Claimed | StoreError]]:
    """Claim each: new and taken keys by one statement, all others one by one.

    Those are keys that were used before and are free again, and ends of leases.
    """
    seen: list[Claimed | StoreError | None] = [None] * len(commands)
    first = [command for command in commands if command.witnessed is None]
    if first:
        rows = yield Statement("begin_many", columns_of_many(first, at))
        met = {row[PLACE] - 1: row for row in rows}
        looked = iter(_met(each, met.get(at)) for at, each in enumerate(first))
        seen = [next(looked) if each.witnessed is None else None for each in commands]
    later: list[Claimed | StoreError] = []
    for command in unanswered(commands, seen):
        try:
            if command.witnessed is None:
                later.append((yield from _claimed(command, at)))
            else:
                later.append((yield from claim(command, at, known=True)))
        except StoreError as error:
            later.append(error)
    return answered(seen, later)


def _met(command: Claim, row: Row | None) -> Claimed | StoreError | None:
    """Say what a first look came to; None: the key may be free."""
    if row is None:
        return None
    try:
        stored = record_of(command.identity, row)
    except RecordUnreadable as error:
        return error
    unmade = command._replace(field_map=no_fields)
    change = transitions.claim(stored, unmade, row[NOW])
    return None if change.written else Claimed(change.record, row[NOW])


def columns_of_many(commands: Sequence[Claim], at: float | None) -> tuple[object, ...]:
    """Give what ``begin_many`` writes: the time, and a list for each column."""
    each = [values_of(command, at) for command in commands]
    columns = [list(column) for column in zip(*each, strict=True)]
    return (at, *columns[1:7], *columns[9:])


def _give_way(command: Claim, at: float | None) -> Steps[None]:
    """Wait a moment for another who takes the lease over: it is soon done."""
    for _ in range(LOOKS):
        yield Pause()
        rows = yield Statement("find", (at, *texts_of(command.identity)))
        if not rows or rows[0][UNTIL] != command.witnessed:
            return


def _first_look(
    command: Claim, at: float | None, *, known: bool
) -> Steps[Claimed | None]:
    """Take a key that nobody used, or see what is in the way; None: it may be free."""
    if known:
        rows = yield Statement("find", (at, *texts_of(command.identity)))
    else:
        values = values_of(command, at)
        rows = yield Statement("begin", (*values[:7], *values[9:]))
    if not rows:
        return None
    stored, now = record_of(command.identity, rows[0]), rows[0][NOW]
    unmade = command._replace(field_map=no_fields)
    change = transitions.claim(stored, unmade, now)
    return None if change.written else Claimed(change.record, now)


def values_of(command: Claim, at: float | None) -> tuple[object, ...]:
    """Give what ``claim`` compares and writes, as its query takes it."""
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


def claimed_of(identity: Identity, row: Row) -> Claimed:
    """See the row through retention; the server gave no key away that is not free."""
    record, now = record_of(identity, row), row[NOW]
    return Claimed(transitions.standing(record, now) or record, now)


def overtaken() -> StoreUnavailable:
    """Say that one record was in the way too often."""
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


def complete(
    command: Completion, at: float | None, *, width: int | None = None
) -> Steps[Record | None]:
    """Store the outcome if the owner still holds the key.

    With *width* it goes to the partition of that many seconds in which it expires.
    """
    identity, owner = command.identity, command.owner
    query, values = "complete", outcome_of(command)
    if width is not None and command.retention_for is not None:
        query, values = "complete_apart", (*values, width)
    done = yield from _change(query, identity, owner, values, at, OPEN)
    if done is None or done.status is not Status.COMPLETED or done.result is not None:
        return done
    return done._replace(result=command.result)


def outcome_of(command: Completion) -> tuple[object, ...]:
    """Give what ``complete`` writes, as its query takes it."""
    return (
        encode(command.result),
        command.retention_for,
        command.late_for or None,
        command.reference,
    )


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


def note(command: Note) -> Steps[bool]:
    """Write down how far the owner's work got."""
    values = (command.owner, command.steps, command.reference, command.number)
    rows = yield Statement("note", (*texts_of(command.identity), *values))
    return bool(rows)


def announce(identity: Identity) -> Steps[bool]:
    """Have the end of the work be told to those who listen."""
    rows = yield Statement("announce", texts_of(identity))
    announced: bool = rows[0][0]
    return announced


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
    raise overtaken()


def _is_now(record: Record | None, owner: bytes, status: Status) -> bool:
    return record is not None and record.owner == owner and record.status is status


def settle(command: Settlement, at: float | None) -> Steps[Record]:
    """Carry out an operator's decision and leave an audit row.

    For one transaction, which holds the record's lock from the first statement on.
    """
    texts = texts_of(command.identity)
    # So that what is read behind the lock is how things are, renewals as well.
    yield Script(CURRENT)
    yield Statement("lock_record", texts)
    rows = yield Statement("find", (at, *texts))
    stored = _for_an_operator(command.identity, rows)
    now = rows[0][NOW] if rows else 0.0
    if command.forgets:
        record = transitions.forget(stored, command, now)
        yield Statement("delete_record", texts)
    else:
        record = transitions.settle(stored, command, now).record
        yield Statement("put_record", (*texts, *columns_of(record)))
    yield Statement("insert_audit", audit_columns(audit_of(command, stored, now)))
    return record


def _for_an_operator(identity: Identity, rows: list[Row]) -> Record | None:
    try:
        return record_of(identity, rows[0]) if rows else None
    except RecordUnreadable:
        return damaged(identity)


def purge(limit: int, at: float | None, since: float) -> Steps[tuple[int, float]]:
    """Remove what expired from *since* on, or leave tombstones; and old renewals.

    Gives how many, and from where the next batch goes on: after a full one from its
    end, so that what it left dead is not walked over again; else from the beginning.
    Renewals are not counted, but many go at once: else there would be ever more where
    all work is long and little of it expires.
    """
    rows = yield Statement("purge", (at, limit, since))
    count, until = rows[0]
    for _ in range(ROUNDS):
        rows = yield Statement("purge_renewals", (at, limit))
        if rows[0][0] < limit:
            break
    return count, until if count == limit else BEGINNING


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
    """Count what is open by its index; what has ended by a sample, if it is much."""
    rows = yield Statement("storage", (at,))
    now, pages, of_records, of_outcomes, of_indexes = rows[0]
    estimated = pages > COUNTED
    share = 100.0 * SAMPLED / pages if estimated else 100.0
    still_open = yield Statement("count_open", (at,))
    ended = yield Statement("count_ended", (at, share))
    counts: dict[Status, int] = {}
    oldest: dict[Status, float] = {}
    for each, times in ((still_open, 1.0), (ended, 100.0 / share)):
        for number, count, first, _ in each:
            status = STATUSES.get(number, Status.UNKNOWN)
            counts[status] = counts.get(status, 0) + round(count * times)
            oldest[status] = min(oldest.get(status, now), first)
    return StoreStats(
        counts,
        oldest,
        of_records + of_outcomes + of_indexes,
        now,
        expired=round(sum(row[3] for row in ended) * 100.0 / share),
        record_bytes=of_records,
        outcome_bytes=of_outcomes,
        index_bytes=of_indexes,
        estimated=estimated,
    )
