# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Where a store's tables are, and which connections are known to lead there."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from keyonce.core.errors import ConfigurationError
from keyonce.stores.postgres.queries import bare_queries
from keyonce.stores.postgres.steps import Beside
from keyonce.stores.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keyonce.stores.postgres.steps import Steps
    from keyonce.stores.statement import Row

_TABLE: Final = re.compile(r"\bkeyonce_(?=records\b|renewals\b)")

# Outcomes kept apart are looked for outside: what finds them goes by a search path.
_APART: Final = re.compile(r"keyonce_outcome_of\((?:[^()]|\([^()]*\))*\)")


class Home:
    """One database of one running server, and the schema in it.

    A stranger's session has a search path of its own: for it the tables are named
    with their schema.
    """

    def __init__(self) -> None:
        """Know nothing yet: see ``find_home``."""
        self._place: Row = ()
        self._guests: WeakSet[object] = WeakSet()
        self.table = ""
        self.queries: Mapping[str, str] = {}

    def settle(self, row: Row) -> None:
        """Take what the store's own connection sees."""
        *place, schema = row
        self._place = tuple(place)
        self.table = f"{schema}.keyonce_records"
        self.queries = {
            name: _APART.sub(
                "NULL::BYTEA", _TABLE.sub(f"{schema}.keyonce_", query.decode())
            )
            for name, query in bare_queries().items()
        }

    def is_at(self, row: Row) -> bool:
        """Whether this is what the store's own connection sees."""
        return self._place == tuple(row)

    def knows(self, connection: object) -> bool:
        """Whether *connection* was checked before: it leads where it led."""
        with suppress(TypeError):  # of those that take no weak reference
            return connection in self._guests
        return False

    def note(self, connection: object) -> None:
        """Remember *connection* while it lives."""
        with suppress(TypeError):
            self._guests.add(connection)


def find_home(home: Home) -> Steps[None]:
    """Ask the store's own connection where it leads.

    Raises:
        ConfigurationError: the tables are gone.
    """
    rows = yield Beside(Statement("our_place"))
    if not rows:
        raise ConfigurationError(
            "The table keyonce_records is missing, and keyonce_schema says that it was "
            "made: restore it, or drop keyonce_schema to begin anew."
        )
    home.settle(rows[0])
