# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How a caller's transaction begins and ends, for loops: the twin of `transaction`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyonce.stores.mysql.async_seats import async_seat_of
from keyonce.stores.mysql.handed_in import is_of_sqlalchemy
from keyonce.stores.mysql.joining import IN_TRANSACTION
from keyonce.stores.mysql.transaction import repeats
from keyonce.stores.transaction import AsyncCoreTransaction, ended_inside

if TYPE_CHECKING:
    from keyonce.core.protocols import AsyncTransaction


class AsyncDriverTransaction:
    """That of a connection of asyncmy."""

    def __init__(self, connection: Any) -> None:
        """Begin and end on *connection*."""
        self._connection = connection

    async def is_open(self) -> bool:
        return bool(self._connection.server_status & IN_TRANSACTION)

    async def begin(self) -> None:
        await self._connection.begin()

    async def commit(self) -> None:
        if not await self.is_open():
            raise ended_inside()
        await self._connection.commit()

    async def rollback(self) -> None:
        await self._connection.rollback()

    def repeats(self, error: BaseException) -> bool:
        return repeats(error)


def async_transaction_of(given: Any) -> AsyncTransaction:
    """Say how one on *given* begins and ends.

    Raises:
        ConfigurationError: it is no connection that can be joined.
    """
    async_seat_of(given)
    if is_of_sqlalchemy(given):
        return AsyncCoreTransaction(given, repeats)
    return AsyncDriverTransaction(given)
