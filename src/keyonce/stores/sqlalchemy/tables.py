# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which tables a database of each kind has, and which of those in one are keyonce's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import Table, event

from keyonce.core.errors import ConfigurationError
from keyonce.stores.sqlalchemy import mysql, postgresql, sqlite
from keyonce.stores.sqlalchemy.finishing import finish_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, MetaData

Dialect = Literal["sqlite", "postgresql", "mysql", "mariadb"]

_MAKERS: Final[dict[str, Callable[[MetaData], tuple[Table, ...]]]] = {
    "sqlite": sqlite.tables,
    "postgresql": postgresql.tables,
    "mysql": mysql.tables,
    "mariadb": mysql.tables,
}
_PREFIX: Final = "keyonce_"


def add_tables(metadata: MetaData, *, dialect: Dialect) -> tuple[Table, ...]:
    """Declare keyonce's tables in *metadata*, as `keyonce migrate` makes them.

    They differ with the database: *dialect* says which it is. They are for DDL; read
    and write through a store. `metadata.create_all` does all that is to be done;
    other tools make the tables, and `finish_tables` or `keyonce migrate` the rest.

    Raises:
        ConfigurationError: no store is in such a database.
    """
    if dialect not in _MAKERS:
        raise ConfigurationError(
            f"keyonce has no tables for {dialect!r}: there are {', '.join(_MAKERS)}."
        )
    made = _MAKERS[dialect](metadata)
    versions = made[-1]
    for table in made[:-1]:
        versions.add_is_dependent_on(table)
    event.listen(versions, "after_create", _finish)
    return made


def include_object(
    thing: object,  # noqa: ARG001 - so Alembic calls it
    name: str | None,
    type_: str,
    reflected: bool,  # noqa: FBT001 - so Alembic calls it
    compare_to: object,
) -> bool:
    """Keep Alembic's autogenerate from dropping tables of keyonce's: for its env.py.

    Those are all of them where the metadata declares none, and else the partitions,
    which a store makes and drops by itself.
    """
    ours = type_ == "table" and (name or "").startswith(_PREFIX)
    return not (ours and reflected and compare_to is None)


def _finish(_table: Table, connection: Connection, **_: Any) -> None:
    finish_tables(connection)
