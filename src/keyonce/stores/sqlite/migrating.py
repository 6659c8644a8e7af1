# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The schema of an SQLite file, as an operator changes it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from keyonce.stores.schema import Outlook, migrations_of, outlook, script_of
from keyonce.stores.sqlite.database import PACKAGE, path_of
from keyonce.stores.sqlite.filesystem import MOUNT_TABLE
from keyonce.stores.sqlite.opening import (
    VERSION_TABLE,
    applied_to,
    check_place,
    connect,
    make_private,
    migrate,
)
from keyonce.stores.sqlite.translate import translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyonce.stores.schema import Migration

PATIENCE: Final = 60.0


class SQLiteSchema:
    """The schema of one file; `migrate` makes the file where there is none."""

    def __init__(self, url: str) -> None:
        """Name the file, opening nothing."""
        self._path = path_of(url)
        self._place = repr(str(self._path))
        self._migrations = migrations_of(PACKAGE)

    def look(self) -> Outlook:
        check_place(self._path, MOUNT_TABLE)
        if not self._path.exists():
            return outlook((), self._migrations, self._place)
        with translated():
            connection = connect(self._path, self._deadline(), reads_only=True)
            try:
                applied = applied_to(connection)
            finally:
                connection.close()
        return outlook(applied, self._migrations, self._place)

    def migrate(self, *, contract: bool = False) -> tuple[Migration, ...]:
        check_place(self._path, MOUNT_TABLE)
        make_private(self._path)
        with translated():
            connection = connect(self._path, self._deadline(), reads_only=False)
            try:
                return migrate(
                    connection,
                    self._migrations,
                    self._deadline(),
                    self._place,
                    contract=contract,
                )
            finally:
                connection.close()

    def script(self, migrations: Sequence[Migration]) -> str:
        return script_of(
            migrations, VERSION_TABLE, begin="BEGIN IMMEDIATE;", end="COMMIT;"
        )

    def _deadline(self) -> float:
        return time.monotonic() + PATIENCE
