# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Records in an SQLite file, shared by the processes of one machine."""

from __future__ import annotations

from keyonce.stores.sqlite.aio import AsyncSQLiteStore
from keyonce.stores.sqlite.sync import SQLiteStore

__all__ = ["AsyncSQLiteStore", "SQLiteStore"]
