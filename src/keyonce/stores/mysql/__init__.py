# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Records in MySQL or MariaDB, shared by any number of machines."""

from __future__ import annotations

from keyonce.stores.mysql.aio import AsyncMySQLStore
from keyonce.stores.mysql.sync import MySQLStore

__all__ = ["AsyncMySQLStore", "MySQLStore"]
