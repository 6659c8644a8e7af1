# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A caller's connection, as the joined verbs speak over it: by its driver.

Nothing here begins, ends or changes anything of the connection's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from keyonce.stores.statement import Row, Values


class PsycopgCaller:
    """A ``psycopg.Connection``."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Speak over *connection*."""
        self.connection = connection

    def check(self) -> object:
        """Give what the connection is known by.

        Raises:
            ConfigurationError: no transaction is open.
        """
        _check_psycopg(self.connection)
        return self.connection

    def rows(self, sql: str, values: Values) -> list[Row]:
        """Carry out one query."""
        cursor = psycopg.RawCursor(self.connection, row_factory=tuple_row)
        cursor.execute(sql.encode(), values, binary=True)
        return cursor.fetchall() if cursor.description else []

    def run(self, sql: str) -> None:
        """Carry out one statement that takes no values and gives no rows."""
        self.connection.execute(sql.encode())


class AsyncPsycopgCaller:
    """A ``psycopg.AsyncConnection``."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Speak over *connection*."""
        self.connection = connection

    async def check(self) -> object:
        """Give what the connection is known by.

        Raises:
            ConfigurationError: no transaction is open.
        """
        _check_psycopg(self.connection)
        return self.connection

    async def rows(self, sql: str, values: Values) -> list[Row]:
        """Carry out one query."""
        cursor = psycopg.AsyncRawCursor(self.connection, row_factory=tuple_row)
        await cursor.execute(sql.encode(), values, binary=True)
        return await cursor.fetchall() if cursor.description else []

    async def run(self, sql: str) -> None:
        """Carry out one statement that takes no values and gives no rows."""
        await self.connection.execute(sql.encode())


class AsyncpgCaller:
    """An ``asyncpg.Connection``, or what a pool of asyncpg lends."""

    def __init__(self, connection: Any) -> None:
        """Speak over *connection*."""
        self.connection = connection

    async def check(self) -> object:
        """Give what the connection is known by.

        Raises:
            ConfigurationError: no transaction is open.
        """
        if not self.connection.is_in_transaction():
            raise no_transaction("async with connection.transaction()")
        return self.connection

    async def rows(self, sql: str, values: Values) -> list[Row]:
        """Carry out one query."""
        return [tuple(row) for row in await self.connection.fetch(sql, *values)]

    async def run(self, sql: str) -> None:
        """Carry out one statement that takes no values and gives no rows."""
        await self.connection.execute(sql)


def _check_psycopg(
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any],
) -> None:
    idle = connection.info.transaction_status is TransactionStatus.IDLE
    if connection.autocommit and idle:
        raise no_transaction("with connection.transaction()")


def no_transaction(begin: str) -> ConfigurationError:
    """Say that each statement would commit alone."""
    return ConfigurationError(
        "No transaction is open on this connection: the effect and its record would "
        f"be committed apart. Do both inside '{begin}:'."
    )
