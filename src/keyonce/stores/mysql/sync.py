# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The MySQL and MariaDB store for threads."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from keyonce.stores.mysql.address import address_of
from keyonce.stores.mysql.connections import LentConnections, OwnConnections, Source
from keyonce.stores.mysql.database import Database, connect
from keyonce.stores.mysql.opening import open_database
from keyonce.stores.mysql.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable

STORE_TIMEOUT: Final = timedelta(seconds=5)
PURGE_EVERY: Final = timedelta(seconds=60)
POOL_SIZE: Final = 10


class MySQLStore(Verbs):
    """Records in a MySQL (8.0 or later) or MariaDB (10.5 or later) database.

    *url* is ``mysql://user:password@host:3306/database``, ``mariadb://`` means the
    same. Its user makes the tables. Verbs go over at most *pool_size* connections
    of the store's own, opened when needed; or over those of *pool*, a callable that
    gives a PyMySQL connection whose ``close()`` gives it back, such as SQLAlchemy's
    ``engine.raw_connection``. A verb fails after *store_timeout*. A thread purges
    about every *purge_every*; None leaves that to other processes. *clock* is for
    tests: without it every instant is the server's.

    Raises:
        ConfigurationError: the database cannot be used; what to change.
        StoreUnavailable: the server did not answer.
    """

    def __init__(
        self,
        url: str,
        *,
        pool: Callable[[], Any] | None = None,
        pool_size: int = POOL_SIZE,
        clock: Callable[[], float] | None = None,
        store_timeout: timedelta = STORE_TIMEOUT,
        purge_every: timedelta | None = PURGE_EVERY,
    ) -> None:
        """Make the tables or bring them up to date; nothing stays open until used."""
        address = address_of(url)
        patience = store_timeout.total_seconds()
        largest = open_database(address, patience)
        source: Source
        if pool is None:
            source = OwnConnections(partial(connect, address, patience), pool_size)
        else:
            source = LentConnections(pool)
        self._mine = Database(source, clock=clock, store_timeout=patience)
        super().__init__(self._mine, largest, purge_every)

    def close(self) -> None:
        """Close every connection of the store's own and end the background thread."""
        self.upkeep.close()
        self._mine.close()
