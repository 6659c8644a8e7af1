# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A caller's own connection as an event loop sees it: the twin of `seats`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncmy.connection import Connection
from asyncmy.cursors import Cursor

from keyonce.core.errors import ConfigurationError
from keyonce.stores.mysql.connections import check_charset
from keyonce.stores.mysql.handed_in import is_of_sqlalchemy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyonce.stores.mysql.seats import AsyncSeat
    from keyonce.stores.statement import Row


class AsyncDriverSeat:
    """A connection of asyncmy."""

    def __init__(self, connection: Any) -> None:
        """Speak over *connection*, whatever its usual cursor gives."""
        self._connection = connection

    async def ask(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        """Carry out *query* in the caller's transaction."""
        async with self._connection.cursor(cursor=Cursor) as cursor:
            await cursor.execute(query, dict(values))
            if cursor.description is None:
                return [(self._connection.server_status,)]
            return list(await cursor.fetchall())


def async_seat_of(connection: Any) -> AsyncSeat:
    """Say how *connection* is spoken to.

    Raises:
        ConfigurationError: it is none that a store for event loops can join.
    """
    if is_of_sqlalchemy(connection):
        from keyonce.stores.mysql.async_alchemy import (  # noqa: PLC0415 - an extra
            async_seat_of_alchemy,
        )

        return async_seat_of_alchemy(connection)
    if not isinstance(connection, Connection):
        raise ConfigurationError(
            f"AsyncMySQLStore cannot join a {type(connection).__name__}: give it a "
            "connection of asyncmy, or an AsyncConnection or AsyncSession of "
            "SQLAlchemy over it."
        )
    check_charset(connection)
    return AsyncDriverSeat(connection)
