# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""SQLAlchemy's async engines, connections and sessions over asyncmy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
)
from sqlalchemy.util.concurrency import greenlet_spawn

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.stores.mysql.address import Address, tls_of
from keyonce.stores.mysql.alchemy import AlchemySeat, check_dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from keyonce.stores.statement import Row


class AsyncAlchemySeat:
    """A connection of SQLAlchemy; a session's is asked for when it is needed."""

    def __init__(self, given: AsyncConnection | AsyncSession) -> None:
        """Speak over *given*."""
        self._given = given

    async def ask(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        """Carry out *query* in the caller's transaction."""
        given = self._given
        connection = (
            await given.connection() if isinstance(given, AsyncSession) else given
        )
        return await connection.run_sync(partial(_asked, query, values))


def _asked(query: str, values: Mapping[str, Any], connection: Connection) -> list[Row]:
    return AlchemySeat(connection).ask(query, values)


def async_seat_of_alchemy(given: Any) -> AsyncAlchemySeat:
    """Say how a connection or session is spoken to.

    Raises:
        ConfigurationError: it is another object of SQLAlchemy, or over another driver.
    """
    if isinstance(given, async_scoped_session):
        given = given()
    if isinstance(given, AsyncConnection):
        check_dialect(given.dialect, "asyncmy")
    elif isinstance(given, AsyncSession):
        check_dialect(given.get_bind().dialect, "asyncmy")
    else:
        raise ConfigurationError(
            f"AsyncMySQLStore cannot join a {type(given).__name__} of SQLAlchemy: give "
            "it an AsyncConnection or an AsyncSession. MySQLStore joins the sync ones."
        )
    return AsyncAlchemySeat(given)


class EnginePool:
    """The pool of an engine, as a pool of asyncmy's own connections."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Borrow from *engine*, which somebody else disposes of."""
        self._engine = engine
        self._lent: dict[int, Any] = {}

    async def acquire(self) -> Any:
        """Borrow one connection."""
        try:
            lent = await self._engine.raw_connection()
        except SQLAlchemyError as exc:
            message = f"The engine gave no connection to MySQL: {exc}."
            raise StoreUnavailable(message) from exc
        driver: Any = lent.driver_connection
        self._lent[id(driver)] = lent
        return driver

    async def release(self, connection: Any) -> None:
        """Give it back; one that was closed is not used again."""
        lent = self._lent.pop(id(connection))
        if not connection.connected:
            lent.invalidate()
        await greenlet_spawn(lent.close)


def check_async_engine(engine: object) -> AsyncEngine:
    """See that *engine* leads to MySQL by asyncmy.

    Raises:
        ConfigurationError: it does not.
    """
    if not isinstance(engine, AsyncEngine):
        raise ConfigurationError(
            f"AsyncMySQLStore takes an AsyncEngine of SQLAlchemy, not its "
            f"{type(engine).__name__}. MySQLStore takes an Engine."
        )
    check_dialect(engine.dialect, "asyncmy")
    return engine


def address_of_engine(engine: AsyncEngine) -> Address:
    """Say where *engine* leads, for connections of our own."""
    url = engine.url
    options = {name: str(value) for name, value in url.query.items()}
    return Address(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        database=url.database or "",
        user=url.username,
        password=str(url.password or ""),
        unix_socket=options.get("unix_socket"),
        tls=tls_of(options),
    )
