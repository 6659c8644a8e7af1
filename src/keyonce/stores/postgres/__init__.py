# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Records in a PostgreSQL database, shared by every machine that reaches it."""

from __future__ import annotations

from keyonce.stores.postgres.aio import AsyncPostgresStore
from keyonce.stores.postgres.sync import PostgresStore

__all__ = ["AsyncPostgresStore", "PostgresStore"]
