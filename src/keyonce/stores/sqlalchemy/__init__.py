# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""keyonce's tables in a MetaData of SQLAlchemy, for those who let Alembic make them."""

from __future__ import annotations

from keyonce.stores.sqlalchemy.finishing import finish_tables
from keyonce.stores.sqlalchemy.tables import add_tables, include_object

__all__ = ["add_tables", "finish_tables", "include_object"]
