# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""SQLAlchemy's engines, connections and sessions over PyMySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.stores.mysql.connections import check_charset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import URL, Dialect

    from keyonce.stores.statement import Row

DIALECTS: Final = ("mysql", "mariadb")


class AlchemySeat:
    """A connection of SQLAlchemy; a session's is asked for when it is needed."""

    def __init__(self, given: Connection | Session) -> None:
        """Speak over *given*."""
        self._given = given

    def ask(self, query: str, values: Mapping[str, Any]) -> list[Row]:
        """Carry out *query* in the caller's transaction."""
        given = self._given
        connection = given.connection() if isinstance(given, Session) else given
        result = connection.exec_driver_sql(query, dict(values) or None)
        if result.returns_rows:
            return [tuple(row) for row in result.fetchall()]
        driver: Any = connection.connection.driver_connection
        check_charset(driver)
        return [(driver.server_status,)]


def seat_of_alchemy(given: Any) -> AlchemySeat:
    """Say how a connection or session is spoken to.

    Raises:
        ConfigurationError: it is another object of SQLAlchemy, or over another driver.
    """
    if isinstance(given, scoped_session):
        given = given()
    if isinstance(given, Connection):
        check_dialect(given.dialect, "pymysql")
    elif isinstance(given, Session):
        check_dialect(given.get_bind().dialect, "pymysql")
    else:
        raise ConfigurationError(
            f"MySQLStore cannot join a {type(given).__name__} of SQLAlchemy: give it a "
            "Connection or a Session. AsyncMySQLStore joins the async ones."
        )
    return AlchemySeat(given)


def check_engine(engine: object) -> Engine:
    """See that *engine* leads to MySQL by PyMySQL.

    Raises:
        ConfigurationError: it does not.
    """
    if not isinstance(engine, Engine):
        raise ConfigurationError(
            f"MySQLStore takes an Engine of SQLAlchemy, not its "
            f"{type(engine).__name__}. AsyncMySQLStore takes an AsyncEngine."
        )
    check_dialect(engine.dialect, "pymysql")
    return engine


def lend_from(engine: Engine) -> Callable[[], Any]:
    """Give what borrows a connection from *engine*; `close()` gives it back."""

    def lend() -> Any:
        try:
            return engine.raw_connection()
        except SQLAlchemyError as exc:
            message = f"The engine gave no connection to MySQL: {exc}."
            raise StoreUnavailable(message) from exc

    return lend


def place_of(url: URL) -> str:
    """Name the database and where it is, without the password."""
    return f"{url.database!r} at {url.host}:{url.port or 3306}"


def check_dialect(dialect: Dialect, driver: str) -> None:
    """See that *dialect* is MySQL's or MariaDB's, by *driver*.

    Raises:
        ConfigurationError: it is another.
    """
    if dialect.name not in DIALECTS or dialect.driver != driver:
        raise ConfigurationError(
            f"This is SQLAlchemy over {dialect.name}+{dialect.driver}: this store "
            f"joins mysql+{driver}. Write that in the engine's URL."
        )
