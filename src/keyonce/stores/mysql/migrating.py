# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The schema of a MySQL or MariaDB database, as an operator changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyonce.stores.mysql.address import OPTIONS, address_of
from keyonce.stores.mysql.database import connect
from keyonce.stores.mysql.opening import (
    VERSION_TABLE,
    connected,
    migrated,
    outlook_of,
)
from keyonce.stores.schema import script_of, with_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.stores.schema import Migration, Outlook

STORE_TIMEOUT: Final = 10.0


class MySQLSchema:
    """The tables of one database."""

    def __init__(self, url: str) -> None:
        """Name the database, opening nothing."""
        self._address = address_of(with_options(url, OPTIONS))

    def look(self) -> Outlook:
        with connected(self._connecting, self._address.place) as connection:
            return outlook_of(connection, self._address.place)

    def migrate(self, *, contract: bool = False) -> tuple[Migration, ...]:
        place = self._address.place
        return migrated(self._connecting, place, STORE_TIMEOUT, contract=contract)

    def script(self, migrations: Sequence[Migration]) -> str:
        return script_of(migrations, VERSION_TABLE)

    def _connecting(self, answer_within: float | None) -> Any:
        return connect(self._address, STORE_TIMEOUT, answer_within=answer_within)
