# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What must be true before a database is used, and how its tables are made.

Steps that only add are run by whoever comes first; what takes something away waits
for an operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core.errors import ConfigurationError
from keyonce.stores.postgres.steps import Script
from keyonce.stores.schema import Migration, Outlook, outlook
from keyonce.stores.statement import Statement

if TYPE_CHECKING:
    from keyonce.stores.postgres.steps import Steps

OLDEST: Final = 12
PLACE: Final = "the PostgreSQL database"


def look(migrations: tuple[Migration, ...]) -> Steps[Outlook]:
    """Say how the schema stands, on a server that will do.

    Raises:
        ConfigurationError: it will not, and what to change.
    """
    rows = yield Statement("server")
    version, encoding, in_recovery, read_only, has_schema = rows[0]
    check_server(
        version // 10000, encoding, in_recovery=in_recovery, read_only=read_only
    )
    if not has_schema:
        return outlook((), migrations, PLACE)
    return (yield from _outlook(migrations))


def check_server(
    version: int, encoding: str, *, in_recovery: bool, read_only: bool
) -> None:
    """Refuse a server that cannot keep the promises.

    Raises:
        ConfigurationError: naming the setting, and the mend.
    """
    if version < OLDEST:
        raise ConfigurationError(
            f"PostgreSQL {version} is too old: keyonce needs {OLDEST} or newer."
        )
    if encoding != "UTF8":
        raise ConfigurationError(
            f"This database keeps text as {encoding}, which cannot tell all keys "
            "apart. Make one with ENCODING 'UTF8'."
        )
    if in_recovery:
        raise ConfigurationError(
            "This PostgreSQL is a replica, which lags behind and cannot be written. "
            "Name the primary, or all hosts with '?target_session_attrs=read-write'."
        )
    if read_only:
        raise ConfigurationError(
            "This PostgreSQL is read only for this role: ALTER ROLE … SET "
            "default_transaction_read_only = off, or name another."
        )


def migrate(
    migrations: tuple[Migration, ...], *, contract: bool = False
) -> Steps[tuple[Migration, ...]]:
    """Bring the schema up to date; safe where several processes do it at once.

    For one transaction. With *contract* also take away what no program of this
    version needs. Gives the migrations that were run here.
    """
    # So that what is read behind the lock is what its last holder left.
    yield Script("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
    yield Statement("lock_schema")
    # While a change waits for somebody's open transaction, all traffic waits behind it.
    yield Script("SET LOCAL lock_timeout = '5s'")
    yield Statement("make_schema")
    todo = (yield from _outlook(migrations)).chosen(contract=contract)
    for migration in todo:
        yield Script(migration.sql)
        yield Statement("note_version", (migration.version, migration.name))
    return todo


def _outlook(migrations: tuple[Migration, ...]) -> Steps[Outlook]:
    rows = yield Statement("applied")
    return outlook(((row[0], row[1]) for row in rows), migrations, PLACE)
