# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The PostgreSQL store for threads."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from keyonce.stores.durability import without_durability
from keyonce.stores.news import News
from keyonce.stores.postgres.address import addressed
from keyonce.stores.postgres.connecting import (
    check_size,
    is_engine,
    pool_of,
    url_of,
)
from keyonce.stores.postgres.hearing import open_line
from keyonce.stores.postgres.opening import set_up
from keyonce.stores.postgres.pools import Pool
from keyonce.stores.postgres.upkeep import Upkeep
from keyonce.stores.postgres.verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg_pool import ConnectionPool
    from sqlalchemy import Engine

    from keyonce.core.errors import StoreError
    from keyonce.core.model import Claim, Claimed, Completion, Record
    from keyonce.stores.durability import Durability

STORE_TIMEOUT: Final = timedelta(seconds=5)
PURGE_EVERY: Final = timedelta(seconds=60)
POOL_SIZE: Final = 10


class PostgresStore(Verbs):
    """Records in a PostgreSQL database, shared by every machine that reaches it.

    What a verb has answered is committed, as durably as the server commits: see
    ``examine``. *server* is a ``postgresql://`` URL, an open psycopg ConnectionPool, or
    an Engine of SQLAlchemy on psycopg. Those stay yours: they lend connections for
    single statements, and what cannot be bound in time there is bound by their own
    settings. ``joined`` works inside a transaction of yours. A verb tries for
    *store_timeout*. A thread purges about every *purge_every*; None leaves that to
    other processes. Where attempts wait, one connection more listens for the end of
    others' work, at *news_url* where *server* leads to a pooler. *clock* stands in
    for the server's clock, in tests. *durability* "declared" takes your word that a
    server with weaker settings keeps enough: ``?durability=declared`` of a URL says
    the same. With *partitions* outcomes are kept in partitions that long, dropped
    whole when they are past; in a URL ``?keyonce_partitions=1d``.

    Raises:
        ConfigurationError: the database cannot keep the promises; what to change.
        StoreUnavailable: it did not answer.
    """

    def __init__(
        self,
        server: str | ConnectionPool[Any] | Engine,
        *,
        durability: Durability = "checked",
        clock: Callable[[], float] | None = None,
        store_timeout: timedelta = STORE_TIMEOUT,
        purge_every: timedelta | None = PURGE_EVERY,
        pool_size: int = POOL_SIZE,
        partitions: timedelta | None = None,
        migrate: bool = True,
        news_url: str | None = None,
    ) -> None:
        """Make the tables or bring them up to date."""
        seconds = store_timeout.total_seconds()
        if isinstance(server, str):
            server, durability = without_durability(server, durability)
        url, demand = addressed(url_of(server), partitions)
        named = url if isinstance(server, str) else server
        check_size(pool_size)
        pool = _pool_of(named, pool_size, seconds)
        at = None if clock is None else clock()
        home = set_up(url, seconds, demand, at, migrates=migrate)
        super().__init__(
            pool,
            home,
            clock=clock,
            store_timeout=seconds,
            news=News(partial(open_line, news_url or url, seconds)),
            demand=demand,
            durability=durability,
        )
        every = None if purge_every is None else purge_every.total_seconds()
        tend = None if demand is None else self.tend
        self._upkeep = Upkeep(self.purge, every, tend=tend)

    def claim(self, command: Claim) -> Claimed:
        claimed = super().claim(command)
        self._upkeep.begin()
        return claimed

    def claim_many(self, commands: Sequence[Claim]) -> Sequence[Claimed | StoreError]:
        claimed = super().claim_many(commands)
        self._upkeep.begin()
        return claimed

    def complete(self, command: Completion) -> Record | None:
        done = super().complete(command)
        if self._demand is not None and self._demand.note(command.retention_for):
            self._upkeep.hurry()
        return done

    def close(self) -> None:
        """Close every connection of its own and end the background threads."""
        self._news.close()
        self._upkeep.close()
        self._pool.close()


def _pool_of(
    server: str | ConnectionPool[Any] | Engine, size: int, seconds: float
) -> Pool:
    if isinstance(server, str):
        return Pool(partial(pool_of, server, size, seconds))
    if is_engine(server):
        from keyonce.stores.postgres.engines import (  # noqa: PLC0415 - optional
            Lender,
        )

        return Pool(given=Lender(cast("Engine", server)))
    return Pool(given=cast("ConnectionPool[Any]", server))
