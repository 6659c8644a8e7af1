# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs inside a caller's transaction, for threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from keyonce.core.flow import run
from keyonce.stores.mysql import joining, procedures
from keyonce.stores.mysql.script import bound, singly

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Claim, Claimed, Completion, Record
    from keyonce.stores.mysql.database import Database
    from keyonce.stores.mysql.seats import Seat
    from keyonce.stores.statement import Procedure, Row, Statement

R = TypeVar("R")


class Joined:
    """Two verbs on *seat*, in the transaction that is open there."""

    def __init__(
        self, seat: Seat, database: Database, largest: int, begin: Callable[[], None]
    ) -> None:
        """Write the records of *database*; *begin* its upkeep."""
        self._seat = seat
        self._database = database
        self._largest = largest
        self._begin = begin

    def claim(self, command: Claim, *, lock_timeout: float) -> Claimed | None:
        return self._run(joining.claim(command, lock_timeout))

    def complete(self, command: Completion) -> Record | None:
        self._begin()
        return self._run(joining.complete(command, self._largest))

    def _run(self, procedure: Procedure[R]) -> R:
        return run(procedure, self._perform)

    def _perform(self, statement: Statement) -> list[Row]:
        database = self._database
        if statement == joining.HOME_NOW:
            database.home = database.run(procedures.place)
        if statement in (joining.HOME, joining.HOME_NOW):
            return [database.home]
        values = bound(statement.values, database.now())
        rows: list[Row] = []
        for piece in singly(database.script(statement.query)):
            rows = self._seat.ask(piece, values)
        return rows
