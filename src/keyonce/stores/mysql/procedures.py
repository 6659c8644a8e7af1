# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store verbs in MySQL's words, each as few round trips as it takes.

A claim looks first, without a lock: a replay is one round trip and writes
nothing. When there is something to write, the second trip writes on the
condition that the record is still as it was seen. The verbs of an owner are one
trip each, on the condition that the owner token is still in the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.core import transitions
from keyonce.core.codec import encode
from keyonce.core.errors import RecordUnreadable, StoreError, StoreUnavailable
from keyonce.core.model import (
    Claimed,
    Identity,
    Query,
    StoredResult,
    StoreStats,
    no_fields,
)
from keyonce.core.states import Status
from keyonce.stores.mysql.rows import (
    NUMBERS,
    STATUSES,
    Columns,
    audit_columns,
    audit_of_row,
    clock_of,
    fingerprint_columns,
    identity_columns,
    listing_of,
    microseconds,
    record_of,
    seconds,
    span,
    text,
    word,
    written,
)
from keyonce.stores.mysql.script import Together
from keyonce.stores.mysql.translate import LOCK_WAIT, LOCKED, code_of
from keyonce.stores.shell import (
    answered,
    audit_of,
    damaged,
    listed,
    stored_as,
    unanswered,
)
from keyonce.stores.statement import Procedure, Row, Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from keyonce.core.model import (
        AuditRow,
        Claim,
        Completion,
        Note,
        Record,
        Settlement,
    )
    from keyonce.stores.mysql.script import Words

PAGE: Final = 500
BATCH: Final = 100
MANY: Final = 500  # claims in one packet
TURNS: Final = 20
HEADERS: Final = 64 * 1024  # what a packet holds of an outcome beside its body
Place = tuple[str, ...]  # a database, then what tells its server from others

OPEN: Final = {Status.IN_PROGRESS, Status.UNKNOWN}


def place() -> Procedure[Place]:
    """Say which database of which server this is."""
    rows = yield Statement("place")
    return tuple(map(word, rows[0]))


def find(identity: Identity) -> Procedure[Claimed | None]:
    """Read one record, seen through retention."""
    rows = yield Statement("read", identity_columns(identity))
    if not rows:
        return None
    now = clock_of(rows[0])
    record = transitions.standing(record_of(identity, rows[0]), now)
    return None if record is None else Claimed(record, now)


def claim(command: Claim) -> Procedure[Claimed]:
    """Give the key to the claimant if it is free."""
    identity = identity_columns(command.identity)
    rows = yield Statement("read", identity)
    held = False
    for _ in range(TURNS):
        if rows:
            now = clock_of(rows[0])
            stored = record_of(command.identity, rows[0])
            change = transitions.claim(stored, command, now)
            if not change.written:
                return Claimed(change.record, now)
        else:
            # The statement writes the server's instants, and no other.
            stored, change = None, transitions.claim(None, command, 0.0)
        try:
            rows = yield claiming(stored, change.record)
        except Exception as error:
            held = _held(stored, error)
            if not held:
                raise
            rows = yield Statement("give_way", identity)
    if held and rows:  # by a transaction that is open for long: its owner's, no doubt
        return Claimed(record_of(command.identity, rows[0]), clock_of(rows[0]))
    raise StoreUnavailable("A key changes hands faster than it can be claimed.")


def claim_many(commands: Sequence[Claim]) -> Words[list[Claimed | StoreError]]:
    """Claim each: one trip reads all, a second writes what is new.

    Keys that were used before and are free again, and ends of leases, are claimed one
    by one.
    """
    answers: list[Claimed | StoreError] = []
    for start in range(0, len(commands), MANY):
        batch = commands[start : start + MANY]
        found = yield from _begun_many({_columns(each): each for each in batch})
        seen = [_met(each, found.get(_columns(each))) for each in batch]
        later: list[Claimed | StoreError] = []
        for command in unanswered(batch, seen):
            try:
                later.append((yield from claim(command)))
            except StoreError as error:
                later.append(error)
        answers += answered(seen, later)
    return answers


def _begun_many(
    commands: dict[tuple[bytes, ...], Claim],
) -> Words[dict[tuple[bytes, ...], Row]]:
    """Insert what is not there, in one transaction, and give all that then is.

    In the order of the keys, so that two batches never wait for each other.
    """
    found = _by_identity((yield _reading(commands)))
    new = sorted(commands.keys() - found.keys())
    if new:
        inserts = [
            Statement("insert", _inserted(transitions.claim(None, each, 0.0).record))
            for each in (commands[identity] for identity in new)
        ]
        begin, commit = Statement("begin"), Statement("commit")
        rows = yield Together((begin, *inserts, commit, _reading(new)))
        found |= _by_identity(rows)
    return found


def _reading(identities: Iterable[tuple[bytes, ...]]) -> Statement:
    return Statement("read_many", {"identities": tuple(sorted(identities))})


def _by_identity(rows: list[Row]) -> dict[tuple[bytes, ...], Row]:
    return {tuple(row[:3]): row[3:] for row in rows}


def _columns(command: Claim) -> tuple[bytes, ...]:
    return tuple(identity_columns(command.identity).values())


def _met(command: Claim, row: Row | None) -> Claimed | StoreError | None:
    """Say what a first look came to; None: the key may be free."""
    if row is None:
        return None
    now = clock_of(row)
    try:
        stored = record_of(command.identity, row)
    except RecordUnreadable as error:
        return error
    unmade = command._replace(field_map=no_fields)
    change = transitions.claim(stored, unmade, now)
    return None if change.written else Claimed(change.record, now)


def _held(stored: Record | None, error: Exception) -> bool:
    """Whether the lease may not be taken over now, since another has its record."""
    busy = code_of(error) in {LOCK_WAIT, LOCKED}
    return busy and stored is not None and stored.status is Status.IN_PROGRESS


def claiming(seen: Record | None, wanted: Record) -> Statement:
    """Write *wanted*, if the record is still as it was *seen*.

    Status, owner and lease change with everything that happens to a record.
    Instants are the server's own, read in the statement that writes them.
    """
    values = _inserted(wanted)
    if seen is None:
        return Statement("insert_record", values)
    values |= {
        "executions": wanted.executions,
        "crashes": wanted.crashes,
        "anew": wanted.executions == 1,
        "reason": text(wanted.reason),
        "seen_owner": seen.owner,
        "seen_status": int(seen.status),
        "seen_lease": microseconds(seen.lease_until),
    }
    if wanted.status is Status.UNKNOWN:
        return Statement("end_lease", values)
    free = seen.status is not Status.IN_PROGRESS
    return Statement("claim_again" if free else "take_over", values)


def _inserted(wanted: Record) -> Columns:
    return identity_columns(wanted.identity) | {
        "guarantee": NUMBERS[wanted.guarantee],
        "owner": wanted.owner,
        "lease_for": microseconds(wanted.lease_for),
        **fingerprint_columns(wanted),
    }


def complete(
    command: Completion, largest: int, query: str = "complete_record"
) -> Procedure[Record | None]:
    """Store the outcome if the owner holds the key; of its body *largest* bytes."""
    result, encoded = fitting(command.result, largest)
    retention_for, late_for = command.retention_for, command.late_for
    ever = retention_for is None or not late_for
    rows = yield Statement(
        query,
        identity_columns(command.identity)
        | {
            "owner": command.owner,
            "result": encoded,
            "reference": text(command.reference or None),
            "retention_for": span(retention_for),
            "late_after": None if ever else span((retention_for or 0.0) + late_for),
        },
    )
    if not rows:
        return None
    known = result if written(rows[0]) else None
    return record_of(command.identity, rows[0], known)


def fitting(result: StoredResult, largest: int) -> tuple[StoredResult, bytes]:
    """Give what the store can keep of *result*, and the same as bytes.

    An outcome that does not fit in one packet, which has room for a body of
    *largest* bytes, still counts as done.
    """
    encoded = encode(result)
    if len(encoded) <= largest + HEADERS:
        return result, encoded
    few = len(encoded) - len(result.body) <= HEADERS
    headers = result.headers if few else ()
    kept = StoredResult(result.status, headers, kept=False, size=result.size)
    return kept, encode(kept)


def release(
    identity: Identity, owner: bytes, reason: str, retention_for: float | None
) -> Procedure[bool]:
    """Free the owner's key."""
    values = _owned(identity, owner) | {
        "reason": text(reason),
        "retention_for": span(retention_for),
    }
    rows = yield Statement("release_record", values)
    return _ended(rows, owner, Status.RELEASED)


def abandon(identity: Identity, owner: bytes, reason: str) -> Procedure[bool]:
    """Make the owner's record unknown."""
    values = _owned(identity, owner) | {"reason": text(reason)}
    rows = yield Statement("abandon_record", values)
    return _ended(rows, owner, Status.UNKNOWN)


def renew(identity: Identity, owner: bytes) -> Procedure[Record | None]:
    """Prolong the owner's lease, beside the record's own row."""
    rows = yield Statement("renew_record", _owned(identity, owner))
    if not rows or rows[0][4] != owner or STATUSES.get(rows[0][2]) not in OPEN:
        return None
    return record_of(identity, rows[0])


def note(command: Note, largest: int) -> Procedure[bool]:
    """Write down how far the owner's work got, in at most *largest* bytes."""
    steps = command.steps
    if steps is not None and len(steps) > largest:
        raise StoreError(
            f"Steps of {len(steps)} bytes are too large for this MySQL, which keeps "
            f"{largest}: raise max_allowed_packet, or let steps give less. What was "
            "noted before is still there."
        )
    values = _owned(command.identity, command.owner) | {
        "steps": steps,
        "reference": text(command.reference or None),
        "number": command.number,
    }
    rows = yield Statement("note_record", values)
    return bool(rows)


def _owned(identity: Identity, owner: bytes) -> Columns:
    return identity_columns(identity) | {"owner": owner}


def _ended(rows: list[Row], owner: bytes, status: Status) -> bool:
    """Say whether it was done, now or by the same command before."""
    if not rows:
        return False
    row = rows[0]
    return written(row) or (row[4] == owner and row[2] == status)


def settle(command: Settlement, largest: int) -> Procedure[Record]:
    """Carry out an operator's decision and leave an audit row, in a transaction."""
    identity = command.identity
    rows = yield Statement("lock_record", identity_columns(identity))
    now = clock_of(rows[0]) if rows else 0.0
    stored = _for_an_operator(identity, rows)
    if command.forgets:
        record = transitions.forget(stored, command, now)
        yield Statement("delete_record", identity_columns(identity))
    else:
        record, encoded = transitions.settle(stored, command, now).record, None
        if record.result is not None:
            result, encoded = fitting(record.result, largest)
            record = record._replace(result=result)
        yield Statement("settle_record", _settled(record) | {"result": encoded})
    audit = audit_of(command, stored, now)
    yield Statement("insert_audit", audit_columns(audit))
    return record


def _settled(record: Record) -> Columns:
    return {
        **identity_columns(record.identity),
        **fingerprint_columns(record),
        "status": int(record.status),
        "guarantee": NUMBERS[record.guarantee],
        "owner": record.owner,
        "executions": record.executions,
        "crashes": record.crashes,
        "lease_until": microseconds(record.lease_until),
        "ended_at": span(record.ended_at),
        "expires_at": span(record.expires_at),
        "reference": text(record.reference),
        "reason": text(record.reason),
        "steps": record.steps or None,
    }


def _for_an_operator(identity: Identity, rows: list[Row]) -> Record | None:
    try:
        return record_of(identity, rows[0]) if rows else None
    except RecordUnreadable:
        return damaged(identity)


def purge(limit: int) -> Procedure[int]:
    """Remove expired records, or leave their tombstones, a few at a time.

    What is due is looked up without a lock; then the primary key alone is used,
    in its order: who locks a row first and its index entry after meets nobody on
    the way back.
    """
    rows = yield Statement("due_records", {"limit": limit})
    due = sorted(tuple(row) for row in rows)
    for at in range(0, len(due), BATCH):
        batch = tuple(due[at : at + BATCH])
        yield Statement("purge_records", {"identities": batch})
    if len(due) < limit:
        yield from _purge_renewals()
    return len(due)


def _purge_renewals() -> Procedure[None]:
    """Remove the renewals of owners who are done; nobody waits for such a row."""
    for _ in range(TURNS):
        stale = yield Statement("stale_renewals", {"limit": PAGE})
        if not stale:
            return
        identities = tuple(sorted(tuple(row[:3]) for row in stale))
        owners = tuple({row[3] for row in stale})
        values = {"identities": identities, "owners": owners}
        yield Statement("drop_renewals", values)
        if len(stale) < PAGE:
            return


def records(query: Query) -> Procedure[list[Record]]:
    """List records page by page until there are enough."""
    chosen: list[Record] = []
    name, values = _listing(query)
    while len(chosen) < query.limit:
        rows = yield Statement(name, values)
        if rows:
            now = clock_of(rows[0][3:])
            chosen += listed(map(listing_of, rows), query, now)
        if len(rows) < PAGE:
            break
        values |= _behind(*rows[-1][:3])
    return chosen[: query.limit]


def _listing(query: Query) -> tuple[str, dict[str, Any]]:
    statuses = stored_as(query.status)
    after = identity_columns(query.after or Identity("", "", ""))
    values = {
        "scope": text(query.scope),
        "operation": text(query.operation),
        "key": text(query.key),
        "statuses": _bits(statuses),
        "limit": PAGE,
        **_behind(*after.values()),
    }
    return "list_open" if OPEN.issuperset(statuses) else "list_records", values


def _bits(statuses: tuple[Status, ...]) -> int:
    """Give a bit for each status, or all: also those that only a forger knows."""
    everything = len(statuses) == len(Status)
    return -1 if everything else sum(1 << status for status in statuses)


def _behind(scope: bytes, operation: bytes, key: bytes) -> Columns:
    return {"after_scope": scope, "after_operation": operation, "after_key": key}


def audits(identity: Identity | None) -> Procedure[list[AuditRow]]:
    """List operator actions, newest first."""
    values: Columns = dict.fromkeys(("scope", "operation", "key"))
    if identity is not None:
        values = identity_columns(identity)
    rows = yield Statement("list_audits", values)
    return [audit_of_row(row) for row in rows]


def stats() -> Procedure[StoreStats]:
    """Count by status from the index; read only the rows that are open."""
    counts: dict[Status, int] = {}
    oldest: dict[Status, float] = {}
    now = yield Statement("read_clock")
    closed = yield Statement("count_closed")
    still_open = yield Statement("count_open")
    for number, count, first in [*closed, *still_open]:
        status = STATUSES.get(number, Status.UNKNOWN)
        claimed_at = seconds(first)
        counts[status] = counts.get(status, 0) + count
        oldest[status] = min(oldest.get(status, claimed_at), claimed_at)
    expired = yield Statement("count_expired")
    sizes = yield Statement("stored_bytes")
    rows, index = (None if size is None else int(size) for size in sizes[0])
    return StoreStats(
        counts,
        oldest,
        None if rows is None or index is None else rows + index,
        clock_of(now[0]),
        expired=expired[0][0],
        record_bytes=rows,
        index_bytes=index,
    )
