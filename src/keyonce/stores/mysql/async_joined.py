# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs inside a caller's transaction, for event loops: the twin of `joined`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from keyonce.core.flow import arun
from keyonce.stores.mysql import joining, procedures
from keyonce.stores.mysql.script import bound, singly

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Claim, Claimed, Completion, Record
    from keyonce.stores.mysql.async_database import AsyncDatabase
    from keyonce.stores.mysql.seats import AsyncSeat
    from keyonce.stores.statement import Procedure, Row, Statement

R = TypeVar("R")


class AsyncJoined:
    """Two verbs on *seat*, in the transaction that is open there."""

    def __init__(
        self,
        seat: AsyncSeat,
        database: AsyncDatabase,
        largest: int,
        begin: Callable[[], None],
    ) -> None:
        """Write the records of *database*; *begin* its upkeep."""
        self._seat = seat
        self._database = database
        self._largest = largest
        self._begin = begin

    async def claim(self, command: Claim, *, lock_timeout: float) -> Claimed | None:
        return await self._run(joining.claim(command, lock_timeout))

    async def complete(self, command: Completion) -> Record | None:
        self._begin()
        return await self._run(joining.complete(command, self._largest))

    async def _run(self, procedure: Procedure[R]) -> R:
        return await arun(procedure, self._perform)

    async def _perform(self, statement: Statement) -> list[Row]:
        database = self._database
        if statement == joining.HOME_NOW:
            database.home = await database.run(procedures.place)
        if statement in (joining.HOME, joining.HOME_NOW):
            return [database.home]
        values = bound(statement.values, database.now())
        rows: list[Row] = []
        for piece in singly(database.script(statement.query)):
            rows = await self._seat.ask(piece, values)
        return rows
