# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a Table cannot say: functions, ways of storage, the version of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import inspect, text

from keyonce.core.errors import ConfigurationError
from keyonce.stores.schema import added_column, migrations_of, without_comments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from keyonce.stores.schema import Migration

_PACKAGES: Final = {
    "sqlite": "keyonce.stores.sqlite",
    "postgresql": "keyonce.stores.postgres",
    "mysql": "keyonce.stores.mysql",
    "mariadb": "keyonce.stores.mysql",
}
_KNOWN: Final = text("SELECT version FROM keyonce_schema")
_NOTE: Final = text("INSERT INTO keyonce_schema (version, name) VALUES (:v, :name)")


def finish_tables(connection: Connection) -> None:
    """Do to tables that a `Table` made what `keyonce migrate` would do to them.

    In the transaction of *connection*, whose tables have to be there: call it at the
    end of the Alembic migration that made or changed them, as
    ``finish_tables(op.get_bind())``. What was done already is left as it is.

    Raises:
        ConfigurationError: no store is in such a database.
    """
    package = _PACKAGES.get(connection.dialect.name)
    if package is None:
        raise ConfigurationError(
            f"This connection leads to {connection.dialect.name}, and keyonce's tables "
            f"are for {', '.join(_PACKAGES)}."
        )
    known = {version for (version,) in connection.execute(_KNOWN)}
    for migration in migrations_of(package):
        if migration.version not in known:
            _run(connection, migration)


def _run(connection: Connection, migration: Migration) -> None:
    for statement in statements_of(migration.sql):
        if not _is_there(connection, statement):
            connection.execute(text(statement.replace(":", "\\:")))
    connection.execute(_NOTE, {"v": migration.version, "name": migration.name})


def _is_there(connection: Connection, statement: str) -> bool:
    added = added_column(statement)
    if added is None:
        return False
    table, column = added
    return column in {each["name"] for each in inspect(connection).get_columns(table)}


def statements_of(sql: str) -> Iterator[str]:
    """Split a script whose statements end with their line; also a function's body."""
    statement: list[str] = []
    for line in without_comments(sql).splitlines():
        statement.append(line)
        whole = "\n".join(statement)
        if line.endswith(";") and whole.count("$$") % 2 == 0:
            yield whole.strip().rstrip(";")
            statement = []
