# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs inside a caller's transaction, for threads and for loops."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, TypeVar

from keyonce.core.flow import arun, run
from keyonce.stores.django import driver_of, is_of_django
from keyonce.stores.sqlite import joining
from keyonce.stores.sqlite.callers import check, impatient, joined_connection, plain
from keyonce.stores.sqlite.claiming import claiming

if TYPE_CHECKING:
    import sqlite3

    from keyonce.core.model import Claim, Claimed, Completion, Record
    from keyonce.stores.sqlite.database import Database
    from keyonce.stores.sqlite.joining import Pause, Steps
    from keyonce.stores.statement import Row, Statement

R = TypeVar("R")


class SQLiteJoined:
    """Two verbs inside the open transaction of a caller's connection."""

    def __init__(self, given: Any, database: Database) -> None:
        """Join *given*, which leads to the file of *database*.

        Raises:
            ConfigurationError: it is no connection that can be joined.
        """
        beneath = driver_of(given, "sqlite") if is_of_django(given) else given
        self._connection = joined_connection(beneath)
        self._database = database

    def claim(self, command: Claim, *, lock_timeout: float) -> Claimed | None:
        """Claim as part of the transaction; None: another program holds the file."""
        return self._join(_claim(self._database, command, lock_timeout))

    def complete(self, command: Completion) -> Record | None:
        """Store the outcome as part of the transaction."""
        return self._join(_complete(self._database, command))

    def _join(self, steps: Steps[R]) -> R:
        check(self._connection, self._database.path)
        with impatient(self._connection):
            return run(steps, self._perform)

    def _perform(self, step: Statement | Pause) -> list[Row]:
        if isinstance(step, joining.Pause):
            time.sleep(step.seconds * random.uniform(0.3, 1.0))
            return []
        return _carried_out(self._connection, self._database, step)


class AsyncSQLiteJoined:
    """SQLiteJoined for event loops, on a connection of the loop's own thread.

    Nothing but a wait for the file takes time, and the loop goes on meanwhile.
    """

    def __init__(self, given: Any, database: Database) -> None:
        """Join *given*, which leads to the file of *database*.

        Raises:
            ConfigurationError: it is no connection that can be joined.
        """
        self._connection = joined_connection(given)
        self._database = database

    async def claim(self, command: Claim, *, lock_timeout: float) -> Claimed | None:
        """Claim as part of the transaction; None: another program holds the file."""
        return await self._join(_claim(self._database, command, lock_timeout))

    async def complete(self, command: Completion) -> Record | None:
        """Store the outcome as part of the transaction."""
        return await self._join(_complete(self._database, command))

    async def _join(self, steps: Steps[R]) -> R:
        check(self._connection, self._database.path)
        with impatient(self._connection):
            return await arun(steps, self._perform)

    async def _perform(self, step: Statement | Pause) -> list[Row]:
        if isinstance(step, joining.Pause):
            await asyncio.sleep(step.seconds * random.uniform(0.3, 1.0))
            return []
        return _carried_out(self._connection, self._database, step)


def _claim(
    database: Database, command: Claim, lock_timeout: float
) -> Steps[Claimed | None]:
    return joining.claim(claiming(command), database.now, lock_timeout)


def _complete(database: Database, command: Completion) -> Steps[Record | None]:
    database.upkeep.count(1)
    return joining.complete(command, database.now, database.store_timeout)


def _carried_out(
    connection: sqlite3.Connection, database: Database, statement: Statement
) -> list[Row]:
    return plain(connection, database.query(statement.query), statement.values)
