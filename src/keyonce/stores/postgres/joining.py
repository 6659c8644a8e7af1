# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Two verbs inside a transaction that somebody else began and will end.

They touch the record alone, never its renewals: what a transaction has neither read
nor written cannot make it fail, at any isolation level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core import transitions
from keyonce.core.errors import ConfigurationError
from keyonce.core.states import Status
from keyonce.stores.postgres.home import find_home
from keyonce.stores.postgres.procedures import (
    OPEN,
    TRIES,
    claimed_of,
    outcome_of,
    overtaken,
    values_of,
)
from keyonce.stores.postgres.rows import (
    FLAG,
    NOW,
    RESULT,
    outline_of,
    record_of,
    texts_of,
)
from keyonce.stores.postgres.steps import Beside, Script
from keyonce.stores.postgres.translate import sqlstate_of
from keyonce.stores.statement import Statement

if TYPE_CHECKING:
    from keyonce.core.model import Claim, Claimed, Completion, Identity, Record
    from keyonce.stores.postgres.home import Home
    from keyonce.stores.postgres.steps import Steps
    from keyonce.stores.statement import Row

SERIALIZATION: Final = "40001"  # what the transaction saw is not how things are
IN_THE_WAY: Final = {"55P03", "40P01"}  # a lock was not got in time, or only by harm


def check_place(home: Home) -> Steps[None]:
    """See that the caller's transaction reaches the store's own tables.

    Raises:
        ConfigurationError: it does not; nothing was written.
    """
    rows = yield Statement("their_place", (home.table,))
    if not home.is_at(rows[0]):
        # The server was started anew or failed over, since the store was opened.
        yield from find_home(home)
        rows = yield Statement("their_place", (home.table,))
    if not home.is_at(rows[0]):
        raise ConfigurationError(
            "This connection is not one to the store's own database: the outcome "
            "would not be stored where retries look for it. Give the store and your "
            "effects the same database, on the same server."
        )


def complete(command: Completion, at: float | None) -> Steps[Record | None]:
    """Store the outcome as part of the transaction, if the owner still holds the key.

    A transaction that began before the key was lost fails instead of seeing so: then
    the record as it stands is given all the same, and the caller rolls back.
    """
    identity, owner = command.identity, command.owner
    texts = texts_of(identity)
    try:
        rows = yield Statement("complete", (at, *texts, owner, *outcome_of(command)))
        if rows:
            done = outline_of(identity, rows[0])
            return done._replace(result=command.result)
        rows = yield Statement("find", (at, *texts))
    except Exception as error:
        if sqlstate_of(error) != SERIALIZATION:
            raise
        rows = yield Beside(Statement("find", (at, *texts)))
        stored = record_of(identity, rows[0]) if rows else None
        if stored is not None and _may_complete(stored, owner):
            raise
        return stored
    if rows:
        rows = yield from _whole(identity, rows, at)
        stored = record_of(identity, rows[0]) if rows else None
        if stored is None or not _may_complete(stored, owner):
            return stored
    return (yield from _unseen(command, at))


def _whole(identity: Identity, rows: list[Row], at: float | None) -> Steps[list[Row]]:
    """Look outside for an outcome that is kept in a partition."""
    if rows[0][0] == Status.COMPLETED and rows[0][RESULT] is None:
        return (yield Beside(Statement("find", (at, *texts_of(identity)))))
    return rows


def _may_complete(record: Record, owner: bytes) -> bool:
    return record.owner == owner and record.status in OPEN


def _unseen(command: Completion, at: float | None) -> Steps[Record | None]:
    """Look outside for what the transaction cannot see."""
    identity = command.identity
    rows = yield Beside(Statement("find", (at, *texts_of(identity))))
    if not rows:
        return None
    stored = record_of(identity, rows[0])
    if _may_complete(stored, command.owner):
        raise ConfigurationError(
            "The transaction began before the key was claimed, and cannot see that "
            "it was. Begin it (at this isolation level: its first statement) after "
            "the claim. Nothing was written."
        )
    return transitions.standing(stored, rows[0][NOW])


def claim(
    command: Claim, lock_timeout: float, at: float | None
) -> Steps[Claimed | None]:
    """Claim as part of the transaction; None: another one holds the key.

    All that fails or is not this claimant's is undone to a savepoint, so that the
    transaction lives on and holds no lock of somebody else's record.
    """
    values = values_of(command, at)
    milliseconds = max(1, round(1000 * lock_timeout))
    yield Script("SAVEPOINT keyonce")
    before = yield Statement("limit_locks", (f"{milliseconds}ms",))
    try:
        claimed = yield from _claim(command, values, at)
    except Exception as error:
        state = sqlstate_of(error)
        if state not in IN_THE_WAY and state != SERIALIZATION:
            raise
        yield from _back()
        if state in IN_THE_WAY:
            return None
        seen = yield from _committed(command.identity, at)
        if seen is None:
            raise
        return seen
    if not _is_written(claimed, command.owner):
        yield from _back()
        return claimed
    yield Statement("limit_locks", (before[0][0],))
    yield Script("RELEASE SAVEPOINT keyonce")
    return claimed


def _back() -> Steps[None]:
    yield Script("ROLLBACK TO SAVEPOINT keyonce")
    yield Script("RELEASE SAVEPOINT keyonce")


def _claim(
    command: Claim, values: tuple[object, ...], at: float | None
) -> Steps[Claimed]:
    for _ in range(TRIES):
        rows = yield Statement("claim", values)
        if rows and not rows[0][FLAG]:
            rows = yield from _whole(command.identity, rows, at)
            if rows:
                return claimed_of(command.identity, rows[0])
        # Somebody is at work on it: wait for the end of that.
        yield Statement("lock_record", texts_of(command.identity))
    raise overtaken()


def _is_written(claimed: Claimed, owner: bytes) -> bool:
    record = claimed.record
    ended = record.status is Status.UNKNOWN and record.ended_at == claimed.now
    return ended or record.owner == owner


def _committed(identity: Identity, at: float | None) -> Steps[Claimed | None]:
    rows = yield Beside(Statement("find", (at, *texts_of(identity))))
    return claimed_of(identity, rows[0]) if rows else None
