# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Two verbs inside a transaction that the caller began and will end.

They write the record's row and nothing else, which no renewal ever touches: so the
caller's snapshot of it stays true for as long as the lease is its own. What the
driver raises goes through as it is: after 1213 and 1020 the server has rolled back
the caller's whole transaction, and nobody else may know that better.

A statement without rows is answered with the connection's status flags.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeVar

from keyonce.core import transitions
from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.core.model import Claimed
from keyonce.core.states import Status
from keyonce.stores.mysql import procedures
from keyonce.stores.mysql.rows import (
    NUMBERS,
    clock_of,
    fingerprint_columns,
    identity_columns,
    microseconds,
    record_of,
)
from keyonce.stores.mysql.translate import LOCK_WAIT, code_of
from keyonce.stores.statement import Procedure, Row, Statement

if TYPE_CHECKING:
    from keyonce.core.model import Claim, Completion, Record

R = TypeVar("R")

IN_TRANSACTION: Final = 0x0001
NO_BACKSLASH_ESCAPES: Final = 0x0200
NO_SAVEPOINT: Final = 1305

# What `place` says of the store's own connections; it may have moved since it opened.
HOME: Final = Statement("home")
HOME_NOW: Final = Statement("home_now")


def complete(command: Completion, largest: int) -> Procedure[Record | None]:
    """Store the outcome in the caller's transaction."""
    yield from _checked()
    return (yield from procedures.complete(command, largest, "complete_inside"))


def claim(command: Claim, lock_timeout: float) -> Procedure[Claimed | None]:
    """Claim in the caller's transaction; None when somebody held the key too long."""
    yield from _checked()
    before = yield Statement("lock_wait")
    yield Statement("set_lock_wait", {"seconds": max(1, math.ceil(lock_timeout))})
    failure: Exception | None = None
    claimed: Claimed | None = None
    try:
        yield Statement("set_savepoint")
        claimed = yield from _claimed(command)
        yield Statement("drop_savepoint")
    except Exception as error:  # noqa: BLE001 - raised below, when all is as before
        failure = yield from _undone(error)
    try:
        yield Statement("set_lock_wait", {"seconds": before[0][0]})
    except Exception as error:
        raise (failure or error) from error
    if failure is not None:
        raise failure
    return claimed


def _checked() -> Procedure[None]:
    """See that the caller has a transaction in the store's own database.

    Raises:
        ConfigurationError: it has not.
    """
    status: int = (yield Statement("touch"))[0][0]
    # Asked for, not taken from the flags: asyncmy keeps old ones where none is set.
    by_itself = (yield Statement("autocommit"))[0][0]
    if by_itself and not status & IN_TRANSACTION:
        raise ConfigurationError(
            "No transaction is open on this connection, which commits each statement "
            "by itself. Begin one, and commit it when the outcome is in it."
        )
    if status & NO_BACKSLASH_ESCAPES:
        raise ConfigurationError(
            "This connection has NO_BACKSLASH_ESCAPES in its sql_mode, in which "
            "quoting is not safe. Take that mode away."
        )
    here = yield from procedures.place()
    if here == (yield HOME)[0]:
        return
    home = (yield HOME_NOW)[0]
    if here != home:
        raise ConfigurationError(
            f"This connection is to the database {here[0]!r} at {here[1]}:{here[2]}, "
            f"and the store's is {home[0]!r} at {home[1]}:{home[2]}: record and effect "
            "would not commit together. Open the store on the database of the effects."
        )


def _claimed(command: Claim) -> Procedure[Claimed]:
    """Insert, or wait for whoever holds the record and see how it stands.

    Nothing is read before: a snapshot from before the wait would be out of date.
    """
    identity = identity_columns(command.identity)
    wanted = transitions.claim(None, command, 0.0).record
    rows = yield Statement(
        "insert_inside",
        identity
        | {
            "guarantee": NUMBERS[wanted.guarantee],
            "owner": wanted.owner,
            "lease_for": microseconds(wanted.lease_for),
            **fingerprint_columns(wanted),
        },
    )
    stored, change = _seen(command, rows)
    if change.written and stored.status is Status.IN_PROGRESS:
        rows = yield Statement("lock_record", identity)
        stored, change = _seen(command, rows)
    if not change.written:
        return Claimed(change.record, clock_of(rows[0]))
    statement = procedures.claiming(stored, change.record)
    ended = statement.query == "end_lease"
    query = "end_inside" if ended else "again_inside"
    rows = yield Statement(query, statement.values)
    return Claimed(record_of(command.identity, rows[0]), clock_of(rows[0]))


def _seen(command: Claim, rows: list[Row]) -> tuple[Record, transitions.Change]:
    if not rows:
        raise StoreUnavailable(
            "The record was there and is gone. Roll back; try again."
        )
    stored = record_of(command.identity, rows[0])
    return stored, transitions.claim(stored, command, clock_of(rows[0]))


def _undone(error: Exception) -> Procedure[Exception | None]:
    """Take the claim back alone; give what the caller has to hear, if anything.

    After a lock wait (1205) the server has undone the statement, or, where
    innodb_rollback_on_timeout says so, the whole transaction and the savepoint.
    """
    try:
        yield Statement("back_to_savepoint")
        yield Statement("drop_savepoint")
    except Exception:  # noqa: BLE001 - what came first says more
        return error
    return None if code_of(error) == LOCK_WAIT else error
