# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The tables in an SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BLOB,
    REAL,
    TEXT,
    Column,
    Index,
    Integer,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.sql.elements import conv

if TYPE_CHECKING:
    from sqlalchemy import MetaData


def tables(metadata: MetaData) -> tuple[Table, ...]:
    """Declare them; that of the versions is the last."""
    records = Table(
        "keyonce_records",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("scope", TEXT, nullable=False),
        Column("operation", TEXT, nullable=False),
        Column("key", TEXT, nullable=False),
        Column("status", Integer, nullable=False),
        Column("guarantee", Integer, nullable=False),
        Column("executions", Integer, nullable=False),
        Column("crashes", Integer, nullable=False),
        Column("owner", BLOB, nullable=False),
        Column("created_at", Integer, nullable=False),
        Column("claimed_after", Integer, nullable=False),
        Column("lease_for", REAL, nullable=False),
        Column("lease_until", REAL),
        Column("ended_after", Integer),
        Column("expires_at", Integer),
        Column("late_after", Integer),
        Column("scheme", TEXT),
        Column("digest", BLOB),
        Column("fields", BLOB),
        Column("reference", TEXT),
        Column("reason", TEXT),
        Column("steps", BLOB),
        Column("noted", Integer, nullable=False, server_default=text("0")),
        UniqueConstraint("scope", "operation", "key", name=conv("keyonce_identity")),
        Index("keyonce_upkeep", "status", "expires_at"),
    )
    results = Table(
        "keyonce_results",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("result", BLOB, nullable=False),
    )
    audits = Table(
        "keyonce_audits",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("at", Integer, nullable=False),
        Column("actor", TEXT, nullable=False),
        Column("action", TEXT, nullable=False),
        Column("scope", TEXT, nullable=False),
        Column("operation", TEXT, nullable=False),
        Column("key", TEXT, nullable=False),
        Column("reason", TEXT, nullable=False),
        Column("before", TEXT, nullable=False),
        Index("keyonce_audited", "scope", "operation", "key"),
    )
    versions = Table(
        "keyonce_schema",
        metadata,
        Column("version", Integer, primary_key=True),
        Column("name", TEXT, nullable=False),
    )
    return records, results, audits, versions
