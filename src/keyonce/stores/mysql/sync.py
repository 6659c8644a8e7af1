# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The MySQL and MariaDB store for threads."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from keyonce.stores.mysql.address import address_of
from keyonce.stores.mysql.connections import LentConnections, OwnConnections, Source
from keyonce.stores.mysql.database import Database, connect, open_address
from keyonce.stores.mysql.handed_in import lender_of
from keyonce.stores.mysql.opening import open_database
from keyonce.stores.mysql.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from keyonce.stores.durability import Durability

STORE_TIMEOUT: Final = timedelta(seconds=5)
PURGE_EVERY: Final = timedelta(seconds=60)
POOL_SIZE: Final = 10


class MySQLStore(Verbs):
    """Records in a MySQL (8.0 or later) or MariaDB (10.5 or later) database.

    *server* is ``mysql://user:password@host:3306/database``, ``mariadb://`` means the
    same; or an Engine of SQLAlchemy over PyMySQL, which stays yours. Its user makes
    the tables. Verbs go over at most *pool_size* connections of the store's own,
    opened when needed; or over the engine's; or over those of *pool*, a callable that
    gives a PyMySQL connection whose ``close()`` gives it back. A verb fails after
    *store_timeout*. A thread purges about every *purge_every*; None leaves that to
    other processes. Without *migrate* tables that are missing or of an older version
    are refused, and nothing is changed. *clock* is for tests: without it every instant
    is the server's. *durability* "declared" takes your word that a server with weaker
    settings keeps enough: ``?durability=declared`` of a URL says the same.

    Raises:
        ConfigurationError: the database cannot be used; what to change.
        StoreUnavailable: the server did not answer.
    """

    def __init__(
        self,
        server: str | Engine,
        *,
        pool: Callable[[], Any] | None = None,
        pool_size: int = POOL_SIZE,
        durability: Durability = "checked",
        clock: Callable[[], float] | None = None,
        store_timeout: timedelta = STORE_TIMEOUT,
        purge_every: timedelta | None = PURGE_EVERY,
        migrate: bool = True,
    ) -> None:
        """Make the tables or bring them up to date; nothing stays open until used."""
        patience = store_timeout.total_seconds()
        source: Source
        if isinstance(server, str):
            address = address_of(server, durability)
            durability = address.durability
            opened = open_address(address, patience, migrates=migrate)
            source = OwnConnections(partial(connect, address, patience), pool_size)
        else:
            lender = lender_of(server, pool)
            opened = open_database(
                lambda _: lender.lend(), lender.place, patience, migrates=migrate
            )
            source = LentConnections(lender.lend)
        if pool is not None:
            source = LentConnections(pool)
        self._mine = Database(
            source, home=opened.home, clock=clock, store_timeout=patience
        )
        super().__init__(self._mine, opened.largest, purge_every, durability)

    def close(self) -> None:
        """Close every connection of the store's own and end the background thread."""
        self.upkeep.close()
        self._mine.close()
