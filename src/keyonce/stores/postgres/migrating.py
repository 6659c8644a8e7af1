# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The schema of a PostgreSQL database, as an operator changes it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import psycopg

from keyonce.stores.postgres.opening import connected, migrated, outlook_of
from keyonce.stores.postgres.queries import PACKAGE
from keyonce.stores.schema import script_of, with_options
from keyonce.stores.statement import queries_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.stores.schema import Migration, Outlook

STORE_TIMEOUT: Final = 10.0
MIGRATION_TIMEOUT: Final = 3600.0  # a large table is changed for long


class PostgresSchema:
    """The tables of one database."""

    def __init__(self, url: str) -> None:
        """Name the database, opening nothing."""
        known = {each.keyword.decode() for each in psycopg.pq.Conninfo.get_defaults()}
        self._url = with_options(url, known)

    def look(self) -> Outlook:
        with connected(self._url, STORE_TIMEOUT) as connection:
            return outlook_of(connection)

    def migrate(self, *, contract: bool = False) -> tuple[Migration, ...]:
        with connected(self._url, STORE_TIMEOUT) as connection:
            outlook_of(connection)
            connection.deadline = time.monotonic() + MIGRATION_TIMEOUT
            return migrated(connection, contract=contract)

    def script(self, migrations: Sequence[Migration]) -> str:
        table = queries_of(PACKAGE)["make_schema"]
        return script_of(migrations, table, begin="BEGIN;", end="COMMIT;")
