# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What must be true before a database is used: its schema, and its packet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pymysql

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.stores.mysql.rows import word
from keyonce.stores.mysql.script import PACKAGE, singly
from keyonce.stores.mysql.translate import refused
from keyonce.stores.schema import (
    Applied,
    Migration,
    Outlook,
    migrations_of,
    outlook,
    require_ready,
)
from keyonce.stores.statement import queries_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyonce.stores.mysql.procedures import Place
    from keyonce.stores.statement import Row

KIB: Final = 1024
ROOM: Final = 256 * KIB  # of one packet, for the statement and what is beside a body
LEAST_PACKET: Final = 1024 * KIB
MIGRATION_TIMEOUT: Final = 3600.0  # a large table is changed for long

# Gives a connection whose answers may take so many seconds; None: as usual.
Connecting = Callable[[float | None], Any]

VERSION_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS keyonce_schema "
    "(version INT UNSIGNED NOT NULL PRIMARY KEY, name VARBINARY(255) NOT NULL) "
    "ENGINE = InnoDB"
)
_HAS_VERSIONS: Final = (
    "SELECT 1 FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_name = 'keyonce_schema'"
)
_APPLIED: Final = "SELECT version, name FROM keyonce_schema"
# The name is the server's, not the database's: databases must not wait for another.
_LOCK: Final = "SELECT GET_LOCK(CONCAT('keyonce.', MD5(DATABASE())), %s)"
_UNLOCK: Final = "DO RELEASE_LOCK(CONCAT('keyonce.', MD5(DATABASE())))"


class Opened(NamedTuple):
    """What is known of a database: where it is, and the *largest* outcome it keeps."""

    largest: int
    home: Place


def open_database(
    connecting: Connecting, place: str, store_timeout: float, *, migrates: bool = True
) -> Opened:
    """Bring the schema up to date over a connection that *connecting* gives.

    It is told how many seconds an answer may take, where that is longer than usual;
    `close()` of its connection is called. *place* is for people. Without *migrates*
    nothing is changed.

    Raises:
        ConfigurationError: the database cannot be used, and what to change.
        StoreUnavailable: the server did not answer in time.
    """
    with connected(connecting, place) as connection:
        found = outlook_of(connection, place)
        packet = _ask(connection, "SELECT @@max_allowed_packet")[0][0]
        home = tuple(map(word, _ask(connection, queries_of(PACKAGE)["place"])[0]))
    if not migrates:
        require_ready(found)
    elif found.to_run:
        migrated(connecting, place, store_timeout)
    if packet < LEAST_PACKET:
        raise ConfigurationError(
            f"max_allowed_packet of {place} is {packet} bytes, too small for "
            "anything but short answers: set it to 64M."
        )
    return Opened(largest_result(packet), home)


def largest_result(packet: int) -> int:
    """Say how large an outcome may be to fit into *packet*, whatever its bytes.

    A byte that is quoted takes two.
    """
    return (packet - ROOM) // 2


@contextmanager
def connected(
    connecting: Connecting, place: str, *, answer_within: float | None = None
) -> Iterator[Any]:
    """Give a connection for the block.

    Raises:
        ConfigurationError: the server refuses it, or what is done in the block.
        StoreUnavailable: it did not answer.
    """
    try:
        with closing(connecting(answer_within)) as connection:
            yield connection
    except (pymysql.MySQLError, OSError, RuntimeError) as error:
        raise refused(error, place) from error


def outlook_of(connection: Any, place: str) -> Outlook:
    """Say how the schema stands; none is there where keyonce has never been."""
    rows = _ask(connection, _APPLIED) if _ask(connection, _HAS_VERSIONS) else []
    applied = [Applied(version, name.decode()) for version, name in rows]
    return outlook(applied, migrations_of(PACKAGE), place)


def migrated(
    connecting: Connecting, place: str, store_timeout: float, *, contract: bool = False
) -> tuple[Migration, ...]:
    """Bring the schema up to date, however long that takes; give what was run."""
    with connected(connecting, place, answer_within=MIGRATION_TIMEOUT) as connection:
        return _migrate(connection, store_timeout, place, contract=contract)


def _migrate(
    connection: Any, store_timeout: float, place: str, *, contract: bool
) -> tuple[Migration, ...]:
    """Run what is to be run; safe where several processes do it at once.

    A statement that changes the schema commits by itself, so each can be carried
    out again after a break.
    """
    if _ask(connection, _LOCK, (store_timeout,))[0][0] != 1:
        raise StoreUnavailable(
            f"Another process is changing the schema of {place} for too long."
        )
    try:
        todo = outlook_of(connection, place).chosen(contract=contract)
        _ask(connection, VERSION_TABLE)
        for migration in todo:
            for statement in singly(migration.sql):
                _ask(connection, statement)
            done = (migration.version, migration.name)
            _ask(connection, "INSERT INTO keyonce_schema VALUES (%s, %s)", done)
            connection.commit()
    finally:
        with suppress(pymysql.MySQLError, OSError):  # else it ends with the connection
            _ask(connection, _UNLOCK)
    return todo


def _ask(
    connection: Any, query: str, values: tuple[Any, ...] | None = None
) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
