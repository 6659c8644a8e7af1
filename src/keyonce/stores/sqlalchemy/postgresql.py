# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The tables in a PostgreSQL database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    BIGINT,
    BOOLEAN,
    INTEGER,
    SMALLINT,
    TEXT,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import BYTEA, DOUBLE_PRECISION
from sqlalchemy.sql.elements import conv

if TYPE_CHECKING:
    from sqlalchemy import MetaData

# Identities are compared byte by byte.
_BYTES: Final = TEXT(collation="C")
_OUTCOME: Final = "(status = 2) = (result IS NOT NULL) OR kept_in IS NOT NULL"


def tables(metadata: MetaData) -> tuple[Table, ...]:
    """Declare them; that of the versions is the last."""
    records = Table(
        "keyonce_records",
        metadata,
        Column("created_at", DOUBLE_PRECISION, nullable=False),
        Column("claimed_at", DOUBLE_PRECISION, nullable=False),
        Column("lease_for", DOUBLE_PRECISION, nullable=False),
        Column("lease_until", DOUBLE_PRECISION),
        Column("ended_at", DOUBLE_PRECISION),
        Column("expires_at", DOUBLE_PRECISION),
        Column("late_until", DOUBLE_PRECISION),
        Column("executions", INTEGER, nullable=False),
        Column("crashes", INTEGER, nullable=False),
        Column("status", SMALLINT, nullable=False),
        Column("guarantee", SMALLINT, nullable=False),
        Column("awaited", BOOLEAN, nullable=False, server_default=text("false")),
        Column("scope", _BYTES, primary_key=True),
        Column("operation", _BYTES, primary_key=True),
        Column("key", _BYTES, primary_key=True),
        Column("owner", BYTEA, nullable=False),
        Column("scheme", TEXT),
        Column("digest", BYTEA),
        Column("fields", BYTEA),
        Column("reference", TEXT),
        Column("reason", TEXT),
        Column("result", BYTEA),
        Column("kept_in", DOUBLE_PRECISION),
        Column("steps", BYTEA),
        Column("noted", INTEGER, nullable=False, server_default=text("0")),
        CheckConstraint(_OUTCOME, name=conv("keyonce_outcome")),
        Index(
            "keyonce_due",
            "expires_at",
            postgresql_where=text("expires_at IS NOT NULL"),
        ),
        Index("keyonce_open", "status", postgresql_where=text("status IN (1, 3)")),
    )
    renewals = Table(
        "keyonce_renewals",
        metadata,
        Column("lease_until", DOUBLE_PRECISION, nullable=False),
        Column("scope", _BYTES, primary_key=True),
        Column("operation", _BYTES, primary_key=True),
        Column("key", _BYTES, primary_key=True),
        Column("owner", BYTEA, nullable=False),
    )
    audits = Table(
        "keyonce_audits",
        metadata,
        Column("id", BIGINT, Identity(always=True), primary_key=True),
        Column("at", DOUBLE_PRECISION, nullable=False),
        Column("actor", TEXT, nullable=False),
        Column("action", TEXT, nullable=False),
        Column("scope", _BYTES, nullable=False),
        Column("operation", _BYTES, nullable=False),
        Column("key", _BYTES, nullable=False),
        Column("reason", TEXT, nullable=False),
        Column("before", TEXT, nullable=False),
        Index("keyonce_audited", "scope", "operation", "key"),
    )
    outcomes = Table(
        "keyonce_outcomes",
        metadata,
        Column("kept_in", DOUBLE_PRECISION, nullable=False),
        Column("mark", BIGINT, nullable=False),
        Column("result", BYTEA, nullable=False),
        Index("keyonce_kept", "kept_in"),
        postgresql_partition_by="RANGE (kept_in)",
    )
    versions = Table(
        "keyonce_schema",
        metadata,
        Column("version", INTEGER, primary_key=True, autoincrement=False),
        Column("name", TEXT, nullable=False),
    )
    return records, renewals, audits, outcomes, versions
