# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A caller's own connection to the file of the store.

Nothing here begins or ends a transaction, and no setting stays changed.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyonce.core.errors import ConfigurationError
from keyonce.stores.transaction import session_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyonce.stores.statement import Row, Values


def connection_of(given: Any) -> sqlite3.Connection:
    """Give the connection behind *given*, a session's by SQLAlchemy's Core.

    Raises:
        ConfigurationError: it is none of the standard library's ``sqlite3``.
    """
    if isinstance(given, sqlite3.Connection):
        return given
    core = given.connection() if is_session(given) else given
    if is_core(core):
        driver = core.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            return driver
    kind = type(given)
    raise ConfigurationError(
        f"An SQLite store cannot join a {kind.__module__}.{kind.__qualname__}: give it "
        "a sqlite3.Connection, or a Connection or Session of SQLAlchemy over it; one "
        "for threads also a connection of Django's."
    )


def is_core(given: object) -> bool:
    """Whether it is a ``Connection`` of SQLAlchemy, without importing that."""
    return _is(given, "sqlalchemy.engine", "Connection")


def is_session(given: object) -> bool:
    """Whether it is a ``Session`` of SQLAlchemy, without importing that."""
    return _is(given, "sqlalchemy.orm", "Session", "scoped_session")


def begin_beneath(given: Any) -> None:
    """Begin what SQLAlchemy leaves to the driver, which begins without the lock."""
    core = given.connection() if is_session(given) else given
    if not core.connection.driver_connection.in_transaction:
        core.exec_driver_sql("BEGIN IMMEDIATE")


def joined_connection(given: Any) -> sqlite3.Connection:
    """Give the connection behind *given*, in the transaction that *given* is in.

    SQLAlchemy tells a driver nothing before the first statement: what a session holds
    may not have been written yet.

    Raises:
        ConfigurationError: it is none of the standard library's ``sqlite3``.
    """
    given = session_of(given)
    begun = (is_core(given) or is_session(given)) and given.in_transaction()
    connection = connection_of(given)
    if begun:
        begin_beneath(given)
    return connection


def _is(thing: object, module: str, *names: str) -> bool:
    home = sys.modules.get(module)
    return home is not None and isinstance(
        thing, tuple(getattr(home, name) for name in names)
    )


def check(connection: sqlite3.Connection, path: Path) -> None:
    """See that *connection* has a transaction open in the file at *path*.

    Raises:
        ConfigurationError: it has none, or is to another file.
    """
    if not connection.in_transaction:
        raise ConfigurationError(
            "No transaction is open on this connection: the effect and its record "
            "would be committed apart. Begin one by BEGIN IMMEDIATE, or leave that "
            "to work.transaction()."
        )
    theirs = place_of(connection)
    if not _is_one_file(theirs, path):
        raise ConfigurationError(
            f"This connection is to {theirs or 'memory'}, and the store is in {path}: "
            "effect and record would not commit together. Open the store on the file "
            "of the effects, as the connection's main database."
        )


def place_of(connection: sqlite3.Connection) -> str:
    """Say in which file the main database of *connection* is; none: in memory."""
    for _, name, file in plain(connection, "PRAGMA database_list"):
        if name == "main":
            return str(file)
    return ""


def _is_one_file(theirs: str, ours: Path) -> bool:
    """Compare without opening: whoever closes a file drops its locks (F-63)."""
    try:
        return bool(theirs) and os.path.samestat(Path(theirs).stat(), ours.stat())
    except OSError:
        return False


def plain(connection: sqlite3.Connection, sql: str, values: Values = ()) -> list[Row]:
    """Carry out one query, whatever the connection makes of rows and of texts."""
    cursor = connection.cursor(sqlite3.Cursor)
    cursor.row_factory = None
    texts, connection.text_factory = connection.text_factory, str
    try:
        return cursor.execute(sql, values).fetchall()
    finally:
        connection.text_factory = texts
        cursor.close()


def patience_of(connection: sqlite3.Connection) -> float:
    """Say for how many seconds it waits for a file that is busy."""
    return float(plain(connection, "PRAGMA busy_timeout")[0][0]) / 1000


@contextmanager
def impatient(connection: sqlite3.Connection) -> Iterator[None]:
    """Have a busy file be told at once, as long as the block lasts."""
    patience = round(1000 * patience_of(connection))
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience:d}")
