# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A caller's own connection, on which single statements are carried out as they are.

SQLAlchemy's are spoken to through its Core, which knows whether a transaction began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pymysql
from pymysql.cursors import Cursor

from keyonce.core.errors import ConfigurationError
from keyonce.stores.django import is_of_django, wrapper_of
from keyonce.stores.mysql.connections import check_charset
from keyonce.stores.mysql.handed_in import is_of_sqlalchemy
from keyonce.stores.mysql.joining import IN_TRANSACTION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyonce.stores.statement import Row


class Seat(Protocol):
    """Carries out one statement; without rows it answers with the status flags."""

    def ask(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        """Carry out *query* in the caller's transaction."""


class AsyncSeat(Protocol):
    """Seat for event loops."""

    async def ask(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        """Carry out *query* in the caller's transaction."""


class DriverSeat:
    """A connection of PyMySQL."""

    def __init__(self, connection: Any) -> None:
        """Speak over *connection*, whatever its usual cursor gives."""
        self._connection = connection

    def ask(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        """Carry out *query* in the caller's transaction."""
        with self._connection.cursor(Cursor) as cursor:
            cursor.execute(query, values)
            if cursor.description is None:
                return [(self._connection.server_status,)]
            return list(cursor.fetchall())


class DjangoSeat:
    """A connection of Django's, by mysqlclient or by PyMySQL in its place."""

    def __init__(self, wrapper: Any) -> None:
        """Speak over *wrapper* by a cursor of Django's own."""
        self._wrapper = wrapper

    def ask(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        """Carry out *query* in the caller's transaction."""
        wrapper = self._wrapper
        with wrapper.cursor() as cursor:
            cursor.execute(query, dict(values))
            if cursor.description is not None:
                return [tuple(row) for row in cursor.fetchall()]
        # mysqlclient has no flags, and quotes as the server wants it by itself.
        flags = IN_TRANSACTION if wrapper.in_atomic_block else 0
        return [(getattr(wrapper.connection, "server_status", flags),)]


def seat_of(connection: Any) -> Seat:
    """Say how *connection* is spoken to.

    Raises:
        ConfigurationError: it is none that a store for threads can join.
    """
    if is_of_django(connection):
        wrapper = wrapper_of(connection, "mysql")
        check_charset(wrapper.connection)
        return DjangoSeat(wrapper)
    if is_of_sqlalchemy(connection):
        from keyonce.stores.mysql.alchemy import (  # noqa: PLC0415 - an extra
            seat_of_alchemy,
        )

        return seat_of_alchemy(connection)
    if not isinstance(connection, pymysql.connections.Connection):
        raise ConfigurationError(
            f"MySQLStore cannot join a {type(connection).__name__}: give it a "
            "connection of PyMySQL, a Connection or Session of SQLAlchemy over it, or "
            "a connection of Django's."
        )
    check_charset(connection)
    return DriverSeat(connection)
