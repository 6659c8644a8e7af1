# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How a connection is opened, and what must be true before one is used."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import ConfigurationError
from keyonce.stores.schema import Applied, Migration, added_column, outlook
from keyonce.stores.sqlite.filesystem import file_system_of, is_network, read_mounts
from keyonce.stores.sqlite.patience import patiently

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLDEST: Final = (3, 31, 0)
FULL: Final = 2

VERSION_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS keyonce_schema "
    "(version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL)"
)
_APPLIED: Final = "SELECT version, name FROM keyonce_schema"
_HAS_VERSIONS: Final = "SELECT 1 FROM sqlite_master WHERE name = 'keyonce_schema'"


def check_place(path: Path, mount_table: Path) -> None:
    """Refuse a place where SQLite cannot keep its promises.

    Raises:
        ConfigurationError: no directory, or a network file system.
    """
    if sqlite3.sqlite_version_info < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ConfigurationError(
            f"SQLite {sqlite3.sqlite_version} is too old: keyonce needs {oldest}."
        )
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"There is no directory {str(path.parent)!r} for the SQLite file: make it."
        )
    table = read_mounts(mount_table)
    kind = None if table is None else file_system_of(path, table)
    if kind is not None and is_network(kind):
        raise ConfigurationError(
            f"{str(path)!r} is on a network file system ({kind}), where SQLite loses "
            "records. Name a file on a local disk, or use a database server."
        )


def make_private(path: Path) -> None:
    """Make an empty file that only this user can read, unless there is one.

    Outcomes are personal data. The file gets its name when it is closed
    already: closing it later would drop the locks of SQLite in this process.
    """
    if path.exists():
        return
    with suppress(OSError):  # SQLite will say what is wrong, or make the file itself
        handle, other = tempfile.mkstemp(prefix=".keyonce-", dir=path.parent)
        os.close(handle)
        try:
            os.link(other, path)
        finally:
            os.unlink(other)  # noqa: PTH108 - mkstemp speaks of names, too


def require_file(path: Path) -> None:
    """Refuse to make the file.

    Raises:
        ConfigurationError: it is not there.
    """
    if not path.exists():
        raise ConfigurationError(
            f"There is no SQLite file {str(path)!r}: 'keyonce migrate' makes one."
        )


def connect(path: Path, deadline: float, *, reads_only: bool) -> sqlite3.Connection:
    """Open *path* with the settings that the promises rest on, and verify them."""
    connection = sqlite3.connect(
        path, timeout=0, isolation_level=None, check_same_thread=False
    )
    try:
        patiently(lambda: _set_up(connection, reads_only=reads_only), deadline)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, *, reads_only: bool) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA query_only = {int(reads_only)}")
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or synchronous < FULL:
        raise ConfigurationError(
            f"The SQLite file stays in journal mode {mode!r} with synchronous "
            f"{synchronous}: keyonce needs 'wal' and 2 (FULL). Name a file on a local "
            "disk that this user can write."
        )


def applied_to(connection: sqlite3.Connection) -> list[Applied]:
    """Read which versions were applied; none where keyonce has never been."""
    if connection.execute(_HAS_VERSIONS).fetchone() is None:
        return []
    return [Applied(*row) for row in connection.execute(_APPLIED)]


def version_of(connection: sqlite3.Connection) -> int:
    """Read the schema version; 0 where keyonce has never been."""
    return max((each.version for each in applied_to(connection)), default=0)


def migrate(
    connection: sqlite3.Connection,
    migrations: tuple[Migration, ...],
    deadline: float,
    place: str,
    *,
    contract: bool = False,
) -> tuple[Migration, ...]:
    """Bring the schema up to date; safe where several processes do it at once.

    With *contract* also take away what no program of this version needs. Gives the
    migrations that were run here.
    """

    def chosen() -> tuple[Migration, ...]:
        found = outlook(applied_to(connection), migrations, place)
        return found.chosen(contract=contract)

    if not chosen():
        return ()
    patiently(lambda: connection.execute("BEGIN IMMEDIATE"), deadline)
    try:
        todo = chosen()
        connection.execute(VERSION_TABLE)
        for migration in todo:
            for statement in statements_of(migration.sql):
                if not _is_there(connection, statement):
                    connection.execute(statement)
            values = (migration.version, migration.name)
            connection.execute("INSERT INTO keyonce_schema VALUES (?, ?)", values)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return todo


def _is_there(connection: sqlite3.Connection, statement: str) -> bool:
    """Whether *statement* adds a column that somebody has added already."""
    added = added_column(statement)
    if added is None:
        return False
    table, column = added
    known = connection.execute(f"PRAGMA table_info({table})")
    return column in {row[1] for row in known}


def statements_of(sql: str) -> Iterator[str]:
    """Split a script; `executescript` would commit by itself."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
