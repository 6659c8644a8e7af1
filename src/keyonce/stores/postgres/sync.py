# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The PostgreSQL store for threads."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from keyonce.stores.postgres.connecting import pool_of, url_of
from keyonce.stores.postgres.opening import set_up
from keyonce.stores.postgres.pools import Pool
from keyonce.stores.postgres.upkeep import Upkeep
from keyonce.stores.postgres.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg_pool import ConnectionPool

    from keyonce.core.model import Claim, Claimed

STORE_TIMEOUT: Final = timedelta(seconds=5)
PURGE_EVERY: Final = timedelta(seconds=60)
POOL_SIZE: Final = 10


class PostgresStore(Verbs):
    """Records in a PostgreSQL database, shared by every machine that reaches it.

    What a verb has answered is committed, as durably as the server commits: see
    ``examine``. *server* is a ``postgresql://`` URL, or an open psycopg
    ConnectionPool, which stays yours: it is lent for single statements, and what
    cannot be bound in time there is bound by its own settings. A verb tries for
    *store_timeout*. A thread purges about every *purge_every*; None leaves that to
    other processes. *clock* stands in for the server's clock, in tests.

    Raises:
        ConfigurationError: the database cannot keep the promises; what to change.
        StoreUnavailable: it did not answer.
    """

    def __init__(
        self,
        server: str | ConnectionPool[Any],
        *,
        clock: Callable[[], float] | None = None,
        store_timeout: timedelta = STORE_TIMEOUT,
        purge_every: timedelta | None = PURGE_EVERY,
        pool_size: int = POOL_SIZE,
    ) -> None:
        """Make the tables or bring them up to date."""
        seconds = store_timeout.total_seconds()
        set_up(url_of(server), seconds)
        if isinstance(server, str):
            pool = Pool(partial(pool_of, server, pool_size, seconds))
        else:
            pool = Pool(given=server)
        super().__init__(pool, clock=clock, store_timeout=seconds)
        every = None if purge_every is None else purge_every.total_seconds()
        self._upkeep = Upkeep(self.purge, every)

    def claim(self, command: Claim) -> Claimed:
        claimed = super().claim(command)
        self._upkeep.begin()
        return claimed

    def close(self) -> None:
        """Close every connection of its own and end the background thread."""
        self._upkeep.close()
        self._pool.close()
