# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What must be true before a database is used: its schema, and its packet."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import pymysql

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.stores.mysql.database import connect
from keyonce.stores.mysql.script import PACKAGE, singly
from keyonce.stores.mysql.translate import refused
from keyonce.stores.schema import Migration, migrations_of, pending

if TYPE_CHECKING:
    from keyonce.stores.mysql.address import Address
    from keyonce.stores.statement import Row

KIB: Final = 1024
ROOM: Final = 256 * KIB  # of one packet, for the statement and what is beside a body
LEAST_PACKET: Final = 1024 * KIB
MIGRATION_TIMEOUT: Final = 3600.0  # a large table is changed for long

_VERSION_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS keyonce_schema "
    "(version INT UNSIGNED NOT NULL PRIMARY KEY, name VARBINARY(255) NOT NULL) "
    "ENGINE = InnoDB"
)
_HAS_VERSIONS: Final = (
    "SELECT 1 FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_name = 'keyonce_schema'"
)
_VERSION: Final = "SELECT MAX(version) FROM keyonce_schema"
# The name is the server's, not the database's: databases must not wait for another.
_LOCK: Final = "SELECT GET_LOCK(CONCAT('keyonce.', MD5(DATABASE())), %s)"


def open_database(address: Address, store_timeout: float) -> int:
    """Bring the schema up to date; give the largest outcome that can be kept.

    Raises:
        ConfigurationError: the database cannot be used, and what to change.
        StoreUnavailable: the server did not answer in time.
    """
    try:
        with closing(connect(address, store_timeout)) as connection:
            todo = _todo(connection, address.place)
            packet = _ask(connection, "SELECT @@max_allowed_packet")[0][0]
        if todo:
            slow = connect(address, store_timeout, answer_within=MIGRATION_TIMEOUT)
            with closing(slow) as connection:
                migrate(connection, store_timeout, address.place)
    except (pymysql.MySQLError, OSError, RuntimeError) as error:
        raise refused(error, address.place) from error
    if packet < LEAST_PACKET:
        raise ConfigurationError(
            f"max_allowed_packet of {address.place} is {packet} bytes, too small for "
            "anything but short answers: set it to 64M."
        )
    return largest_result(packet)


def largest_result(packet: int) -> int:
    """Say how large an outcome may be to fit into *packet*, whatever its bytes.

    A byte that is quoted takes two.
    """
    return (packet - ROOM) // 2


def version_of(connection: Any) -> int:
    """Read the schema version; 0 where keyonce has never been."""
    if not _ask(connection, _HAS_VERSIONS):
        return 0
    return int(_ask(connection, _VERSION)[0][0] or 0)


def migrate(connection: Any, store_timeout: float, place: str) -> int:
    """Bring the schema up to date; safe where several processes do it at once.

    A statement that changes the schema commits by itself, so each can be carried
    out again after a break. Gives the number of migrations that were run here.
    """
    if _ask(connection, _LOCK, (store_timeout,))[0][0] != 1:
        raise StoreUnavailable(
            f"Another process is changing the schema of {place} for too long."
        )
    todo = _todo(connection, place)
    _ask(connection, _VERSION_TABLE)
    for migration in todo:
        for statement in singly(migration.sql):
            _ask(connection, statement)
        done = (migration.version, migration.name)
        _ask(connection, "INSERT INTO keyonce_schema VALUES (%s, %s)", done)
    return len(todo)  # the lock ends with the connection


def _todo(connection: Any, place: str) -> tuple[Migration, ...]:
    return pending(version_of(connection), migrations_of(PACKAGE), place)


def _ask(
    connection: Any, query: str, values: tuple[Any, ...] | None = None
) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
