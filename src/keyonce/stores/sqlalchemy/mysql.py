# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The tables in a MySQL or MariaDB database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BIGINT, VARBINARY, Column, Index, Table, text
from sqlalchemy.dialects.mysql import BIGINT as LARGE
from sqlalchemy.dialects.mysql import INTEGER, LONGBLOB, MEDIUMBLOB, TINYINT

if TYPE_CHECKING:
    from sqlalchemy import MetaData

# What fits into a text is bytes: no collation makes two keys one.
_SCOPE: Final = VARBINARY(1020)
_OPERATION: Final = VARBINARY(1024)
_KEY: Final = VARBINARY(1020)
_SHORT: Final = VARBINARY(255)
_SMALL: Final = TINYINT(unsigned=True)
_COUNT: Final = INTEGER(unsigned=True)
# What SQLAlchemy's two names for these databases are told.
_IN_INNODB: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mariadb_engine": "InnoDB",
}
_DYNAMIC: Final[dict[str, Any]] = {
    "mysql_row_format": "DYNAMIC",
    "mariadb_row_format": "DYNAMIC",
}


def tables(metadata: MetaData) -> tuple[Table, ...]:
    """Declare them; that of the versions is the last."""
    records = Table(
        "keyonce_records",
        metadata,
        Column("scope", _SCOPE, primary_key=True),
        Column("operation", _OPERATION, primary_key=True),
        Column("key", _KEY, primary_key=True),
        Column("status", _SMALL, nullable=False),
        Column("guarantee", _SMALL, nullable=False),
        Column("executions", _COUNT, nullable=False),
        Column("crashes", _COUNT, nullable=False),
        Column("owner", _SHORT, nullable=False),
        Column("created_at", BIGINT, nullable=False),
        Column("claimed_at", BIGINT, nullable=False),
        Column("lease_for", BIGINT, nullable=False),
        Column("lease_until", BIGINT, nullable=False),
        Column("ended_at", BIGINT),
        Column("expires_at", BIGINT),
        Column("late_until", BIGINT),
        Column("scheme", MEDIUMBLOB),
        Column("digest", _SHORT),
        Column("fields", MEDIUMBLOB),
        Column("reference", MEDIUMBLOB),
        Column("reason", MEDIUMBLOB),
        Column("result", LONGBLOB),
        Column("steps", LONGBLOB),
        Column("noted", _COUNT, nullable=False, server_default=text("0")),
        Index("keyonce_upkeep", "status", "expires_at", "claimed_at"),
        **_IN_INNODB,
        **_DYNAMIC,
    )
    renewals = Table(
        "keyonce_renewals",
        metadata,
        Column("scope", _SCOPE, primary_key=True),
        Column("operation", _OPERATION, primary_key=True),
        Column("key", _KEY, primary_key=True),
        Column("owner", _SHORT, nullable=False),
        Column("lease_until", BIGINT, nullable=False),
        **_IN_INNODB,
        **_DYNAMIC,
    )
    audits = Table(
        "keyonce_audits",
        metadata,
        Column("id", LARGE(unsigned=True), primary_key=True, autoincrement=True),
        Column("at", BIGINT, nullable=False),
        Column("actor", MEDIUMBLOB, nullable=False),
        Column("action", _SHORT, nullable=False),
        Column("scope", _SCOPE, nullable=False),
        Column("operation", _OPERATION, nullable=False),
        Column("key", _KEY, nullable=False),
        Column("reason", MEDIUMBLOB, nullable=False),
        Column("before", _SHORT, nullable=False),
        Index("keyonce_audited", "scope", "operation", "key"),
        **_IN_INNODB,
        **_DYNAMIC,
    )
    versions = Table(
        "keyonce_schema",
        metadata,
        Column("version", _COUNT, primary_key=True, autoincrement=False),
        Column("name", _SHORT, nullable=False),
        **_IN_INNODB,
    )
    return records, renewals, audits, versions
