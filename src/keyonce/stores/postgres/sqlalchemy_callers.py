# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A caller's connection or session of SQLAlchemy, as the joined verbs speak over it.

By SQLAlchemy's Core alone: it begins the driver's transaction when it first carries
out a statement, and what went past it to the driver would be committed apart.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from keyonce.core.errors import ConfigurationError
from keyonce.stores.postgres.callers import no_transaction

if TYPE_CHECKING:
    from sqlalchemy import TextClause
    from sqlalchemy.engine import CursorResult
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session

    from keyonce.stores.statement import Row, Values

_VALUE: Final = re.compile(r"\$(\d+)::(\w+)")
# Whatever the caller streams, these are single statements.
_WHOLE: Final = {"stream_results": False}


class CoreCaller:
    """A ``Connection`` or ``Session``."""

    def __init__(self, given: Connection | Session | scoped_session[Any]) -> None:
        """Speak over what *given* is connected by."""
        self._given = given

    def check(self) -> object:
        """Give what the connection is known by.

        Raises:
            ConfigurationError: it commits each statement, or is not PostgreSQL's.
        """
        return _check(self._core())

    def rows(self, sql: str, values: Values) -> list[Row]:
        """Carry out one query."""
        return _rows(self._core(), sql, values)

    def run(self, sql: str) -> None:
        """Carry out one statement that takes no values and gives no rows."""
        self._core().execute(_text(sql), execution_options=_WHOLE)

    def _core(self) -> Connection:
        given = self._given
        return given if isinstance(given, Connection) else given.connection()


class AsyncCoreCaller:
    """An ``AsyncConnection`` or ``AsyncSession``."""

    def __init__(
        self, given: AsyncConnection | AsyncSession | async_scoped_session[Any]
    ) -> None:
        """Speak over what *given* is connected by."""
        self._given = given

    async def check(self) -> object:
        """Give what the connection is known by.

        Raises:
            ConfigurationError: it commits each statement, or is not PostgreSQL's.
        """
        return await (await self._core()).run_sync(_check)

    async def rows(self, sql: str, values: Values) -> list[Row]:
        """Carry out one query."""
        return await (await self._core()).run_sync(_rows, sql, values)

    async def run(self, sql: str) -> None:
        """Carry out one statement that takes no values and gives no rows."""
        await (await self._core()).execute(_text(sql), execution_options=_WHOLE)

    async def _core(self) -> AsyncConnection:
        given = self._given
        if isinstance(given, AsyncConnection):
            return given
        return await given.connection()


def _check(core: Connection) -> object:
    if core.dialect.name != "postgresql":
        raise ConfigurationError(
            f"This connection leads to {core.dialect.name}, and the store is in "
            "PostgreSQL. Give the store and your effects the same database."
        )
    if getattr(core.connection.dbapi_connection, "autocommit", False):
        raise no_transaction("with engine.begin() as connection")
    return core.connection.driver_connection


def _rows(core: Connection, sql: str, values: Values) -> list[Row]:
    named = {f"v{at}": value for at, value in enumerate(values, 1)}
    answer: CursorResult[Any] = core.execute(
        _text(sql), named, execution_options=_WHOLE
    )
    return [tuple(row) for row in answer.fetchall()] if answer.returns_rows else []


@cache
def _text(sql: str) -> TextClause:
    """Name the values as SQLAlchemy does, for whichever driver is below it."""
    return text(_VALUE.sub(r"CAST(:v\1 AS \2)", sql))
