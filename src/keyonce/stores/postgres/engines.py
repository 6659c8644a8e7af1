# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A user's engine of SQLAlchemy, as a pool that lends its driver's connections.

Each verb is one statement that commits alone: that may go past SQLAlchemy. What
joins a session does not come this way.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from keyonce.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_DRIVERS: Final = {
    False: {"psycopg": "create_engine('postgresql+psycopg://…')"},
    True: {
        "psycopg": "create_async_engine('postgresql+psycopg://…')",
        "asyncpg": "create_async_engine('postgresql+asyncpg://…')",
    },
}
# What asyncpg calls otherwise than libpq; what libpq does not know goes.
_RENAMED: Final = {"ssl": "sslmode", "database": "dbname"}


class Lender:
    """An Engine on psycopg, as a ConnectionPool."""

    def __init__(self, engine: Engine) -> None:
        """Lend from *engine*, which stays its user's.

        Raises:
            ConfigurationError: it speaks another driver.
        """
        _check_driver(engine, is_async=False)
        self._engine = engine
        self._lent: dict[Any, Connection] = {}

    def getconn(self, timeout: float) -> psycopg.Connection[Any]:  # noqa: ARG002
        """Lend a connection; the engine's own settings say how long that may take."""
        try:
            lent = self._engine.connect()
        except SQLAlchemyError as error:
            _unwrap(error)
        driver: Any = lent.connection.driver_connection
        self._lent[driver] = lent
        if driver.info.transaction_status is TransactionStatus.INTRANS:
            driver.rollback()  # what its user does at each connect
        return driver  # type: ignore[no-any-return]

    def putconn(self, connection: psycopg.Connection[Any]) -> None:
        """Take it back."""
        lent = self._lent.pop(connection)
        if connection.closed:
            lent.invalidate()
        lent.close()


class AsyncLender:
    """An AsyncEngine on psycopg, as an AsyncConnectionPool."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Lend from *engine*, which stays its user's.

        Raises:
            ConfigurationError: it speaks another driver.
        """
        _check_driver(engine, is_async=True)
        self._engine = engine
        self._lent: dict[Any, AsyncConnection] = {}

    async def getconn(
        self,
        timeout: float,  # noqa: ARG002, ASYNC109
    ) -> psycopg.AsyncConnection[Any]:
        """Lend a connection; the engine's own settings say how long that may take."""
        lent = await _connected(self._engine)
        driver = await _driver_of(lent)
        self._lent[driver] = lent
        if driver.info.transaction_status is TransactionStatus.INTRANS:
            await driver.rollback()  # what its user does at each connect
        return driver  # type: ignore[no-any-return]

    async def putconn(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Take it back."""
        lent = self._lent.pop(connection)
        if connection.closed:
            await lent.invalidate()
        await lent.close()


class AsyncpgLender:
    """An AsyncEngine on asyncpg, as a pool of asyncpg."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Lend from *engine*, which stays its user's."""
        _check_driver(engine, is_async=True)
        self._engine = engine

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        """Lend a connection for the block."""
        lent = await _connected(self._engine)
        driver = await _driver_of(lent)
        try:
            yield driver
        finally:
            if driver.is_closed():
                await lent.invalidate()
            await lent.close()


async def _connected(engine: AsyncEngine) -> AsyncConnection:
    try:
        return await engine.connect()
    except SQLAlchemyError as error:
        _unwrap(error)


async def _driver_of(lent: AsyncConnection) -> Any:
    return (await lent.get_raw_connection()).driver_connection


def _unwrap(error: SQLAlchemyError) -> NoReturn:
    """Raise what the driver did: that is known further up."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        raise error.orig.__cause__ or error.orig from error
    # The pool is exhausted, for as long as its user lets one wait.
    raise OSError(str(error)) from error


def _check_driver(engine: Engine | AsyncEngine, *, is_async: bool) -> None:
    known = _DRIVERS[is_async]
    dialect = engine.dialect
    if dialect.name != "postgresql" or dialect.driver not in known:
        raise ConfigurationError(
            f"This engine speaks {dialect.name}+{dialect.driver}. Make it by "
            f"{' or '.join(known.values())}."
        )


def url_of_engine(engine: Engine | AsyncEngine) -> str:
    """Give what libpq connects by to the same place; `connect_args` are not seen."""
    known = {each.keyword.decode() for each in psycopg.pq.Conninfo.get_defaults()}
    _, asked = engine.dialect.create_connect_args(engine.url)
    ours = {_RENAMED.get(name, name): _text(value) for name, value in asked.items()}
    return make_conninfo(**{name: ours[name] for name in ours.keys() & known})


def _text(value: object) -> str:
    """Write several hosts or ports as libpq does."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)
