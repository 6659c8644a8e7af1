# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Two verbs inside a transaction that somebody else began and will end.

The write lock of the file comes first: what was read without it may be out of date,
and SQLite then refuses every write (F-60).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from keyonce.core.errors import ConfigurationError
from keyonce.stores.sqlite import procedures
from keyonce.stores.sqlite.translate import is_busy, is_outdated
from keyonce.stores.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Claimed, Completion, Record
    from keyonce.stores.statement import Procedure, Row

SHORTEST: Final = 0.0005
LONGEST: Final = 0.015


class Pause(NamedTuple):
    """Wait about *seconds* for whoever holds the file."""

    seconds: float


R = TypeVar("R")
Steps = Generator[Statement | Pause, Any, R]


def claim(
    job: Callable[[float], Procedure[Claimed]],
    clock: Callable[[], float],
    lock_timeout: float,
) -> Steps[Claimed | None]:
    """Claim as part of the transaction; None: another program holds the file."""
    try:
        yield from _lock(lock_timeout)
    except Exception as error:
        if is_busy(error):
            return None
        raise
    return (yield from job(clock()))


def complete(
    command: Completion, clock: Callable[[], float], lock_timeout: float
) -> Steps[Record | None]:
    """Store the outcome as part of the transaction, if the owner holds the key."""
    yield from _lock(lock_timeout)
    return (yield from procedures.complete(command, clock()))


def _lock(timeout: float) -> Steps[list[Row]]:
    """Have the write lock of the file, which the transaction may have already.

    Raises:
        ConfigurationError: the transaction has read what has changed since.
        sqlite3.OperationalError: another program holds it for too long.
    """
    waited, pause = 0.0, SHORTEST
    while True:
        try:
            rows: list[Row] = yield Statement("take_lock")
        except Exception as error:
            if is_outdated(error):
                raise _too_late() from error
            if not is_busy(error) or waited >= timeout:
                raise
        else:
            return rows
        yield Pause(pause)
        waited += pause
        pause = min(2 * pause, LONGEST)


def _too_late() -> ConfigurationError:
    return ConfigurationError(
        "This transaction has read the SQLite file before it could write, and "
        "somebody else has written since: it can never commit. Begin it by BEGIN "
        "IMMEDIATE, or leave the beginning to work.transaction(). Nothing was written."
    )
