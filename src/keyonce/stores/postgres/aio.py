# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The PostgreSQL store for event loops."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from psycopg_pool import AsyncConnectionPool

from keyonce.core.errors import StoreError
from keyonce.core.flow import arun
from keyonce.stores.durability import without_durability
from keyonce.stores.news import News
from keyonce.stores.postgres import partitions as shelves
from keyonce.stores.postgres import procedures
from keyonce.stores.postgres.address import addressed
from keyonce.stores.postgres.connecting import (
    async_pool_of,
    check_size,
    is_engine,
    pool_of,
    url_of,
)
from keyonce.stores.postgres.examine import examine, pooler
from keyonce.stores.postgres.hearing import news_name, open_line
from keyonce.stores.postgres.joined import AsyncPostgresJoined
from keyonce.stores.postgres.lately import Lately
from keyonce.stores.postgres.opening import set_up
from keyonce.stores.postgres.patience import Patience
from keyonce.stores.postgres.pools import AsyncPool, Pool
from keyonce.stores.postgres.steps import Pause, Prompt, alone
from keyonce.stores.postgres.transaction import async_transaction_of
from keyonce.stores.postgres.translate import is_passing, is_undone, translation_of
from keyonce.stores.postgres.upkeep import Upkeep
from keyonce.stores.postgres.verbs import AT_LEISURE, PROMPT, TRAITS, Verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from keyonce.core.model import (
        AuditRow,
        Claim,
        Claimed,
        Completion,
        Finding,
        Identity,
        Note,
        Query,
        Record,
        Settlement,
        StoreStats,
        Traits,
    )
    from keyonce.core.protocols import AsyncTransaction, Store
    from keyonce.stores.durability import Durability
    from keyonce.stores.news import NewsWatch
    from keyonce.stores.postgres.asyncpg_pool import AsyncpgPool
    from keyonce.stores.postgres.line import AsyncLine
    from keyonce.stores.postgres.steps import Step, Steps
    from keyonce.stores.statement import Row, Statement

R = TypeVar("R")

STORE_TIMEOUT: Final = timedelta(seconds=5)
PURGE_EVERY: Final = timedelta(seconds=60)
POOL_SIZE: Final = 10
BESIDE: Final = 2  # connections of other threads: heartbeats, purging


class AsyncPostgresStore:
    """PostgresStore for event loops.

    *server* is a ``postgresql://`` URL, an open psycopg AsyncConnectionPool, an
    AsyncpgPool, or an AsyncEngine of SQLAlchemy on psycopg or asyncpg; pool and engine
    stay yours. Other threads (heartbeats, purging) have up to two connections of their
    own, opened when they are needed. *partitions* and all others are as in
    PostgresStore.
    """

    def __init__(
        self,
        server: str | AsyncConnectionPool[Any] | AsyncpgPool | AsyncEngine,
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
        """Make the tables or bring them up to date; nothing stays open until used."""
        seconds = store_timeout.total_seconds()
        if isinstance(server, str):
            server, durability = without_durability(server, durability)
        url, demand = addressed(url_of(server), partitions)
        named = url if isinstance(server, str) else server
        check_size(pool_size)
        self._line: AsyncLine = _line_of(named, pool_size, seconds)
        at = None if clock is None else clock()
        self._home = set_up(url, seconds, demand, at, migrates=migrate)
        self._demand = demand
        self._purge_from = procedures.BEGINNING
        self._clock = clock
        self._store_timeout = seconds
        self._lately = Lately()
        self._beside = Pool(partial(pool_of, url, BESIDE, seconds))
        self._durability: Durability = durability
        self._news = News(partial(open_line, news_url or url, seconds))
        self._verbs = Verbs(
            self._beside,
            self._home,
            clock=clock,
            store_timeout=seconds,
            news=self._news,
            demand=demand,
            durability=durability,
        )
        every = None if purge_every is None else purge_every.total_seconds()
        tend = None if demand is None else self._verbs.tend
        self._upkeep = Upkeep(self._verbs.purge, every, tend=tend)

    @property
    def traits(self) -> Traits:
        """What PostgreSQL is able to promise."""
        return TRAITS

    def blocking(self) -> Store:
        """Give the same records to other threads; closed with this store."""
        return self._verbs

    async def claim(self, command: Claim) -> Claimed:
        known = command.identity in self._lately
        claimed = await self._ask(procedures.claim(command, self._at(), known=known))
        self._lately.note(command.identity)
        self._upkeep.begin()
        return claimed

    async def claim_many(
        self, commands: Sequence[Claim]
    ) -> Sequence[Claimed | StoreError]:
        """Claim each; keys that are new or taken by one statement."""
        claimed = await self._ask(procedures.claim_many(commands, self._at()))
        for command in commands:
            self._lately.note(command.identity)
        self._upkeep.begin()
        return claimed

    async def complete(self, command: Completion) -> Record | None:
        width = None if self._demand is None else self._demand.width
        done = await self._ask(procedures.complete(command, self._at(), width=width))
        if self._demand is not None and self._demand.note(command.retention_for):
            self._upkeep.hurry()
        return done

    async def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return await self._ask(
            procedures.release(identity, owner, reason, retention_for, self._at())
        )

    async def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return await self._ask(procedures.abandon(identity, owner, reason, self._at()))

    async def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return await self._ask(procedures.renew(identity, owner, self._at()))

    async def note(self, command: Note) -> bool:
        """Write down how far the work got, in a transaction of its own.

        Note before your own transaction begins. While one is open that has completed
        the record, a note waits, up to the store's timeout; and one that cannot see
        a later note may fail to complete, as after any write that it cannot see.
        """
        return await self._ask(procedures.note(command))

    async def find(self, identity: Identity) -> Claimed | None:
        return await self._ask(procedures.find(identity, self._at()))

    def watch(self, identity: Identity, wake: Callable[[], object]) -> NewsWatch | None:
        """Have *wake* called at news; None behind a pooler."""
        return self._news.watch(news_name(identity), wake)

    async def announce(self, identity: Identity) -> bool:
        return await self._ask(procedures.announce(identity))

    async def settle(self, command: Settlement) -> Record:
        return await self._transact(lambda: procedures.settle(command, self._at()))

    async def records(self, query: Query) -> Sequence[Record]:
        return await self._ask(procedures.records(query, self._at()), AT_LEISURE)

    async def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return await self._ask(procedures.audits(identity), AT_LEISURE)

    async def stats(self) -> StoreStats:
        return await self._ask(procedures.stats(self._at()), AT_LEISURE)

    async def purge(self, limit: int = 1000) -> int:
        batch = procedures.purge(limit, self._at(), self._purge_from)
        purged, self._purge_from = await self._ask(batch, AT_LEISURE)
        if purged < limit:
            await self._drop()
        return purged

    async def tend(self) -> None:
        """Make the partitions that will be wanted, unless somebody is in the way."""
        if self._demand is not None:
            await self._once(shelves.make(self._demand, self._at()))

    async def _drop(self) -> None:
        """Drop partitions that are past; what cannot be now is left for later."""
        with suppress(StoreError):
            for span in await self._ask(shelves.past(self._at())):
                await self._once(shelves.drop(span, self._at()))

    def joined(self, connection: Any) -> AsyncPostgresJoined:
        """Give the verbs inside the open transaction of *connection*.

        It is a ``psycopg.AsyncConnection``, an ``asyncpg.Connection``, or an
        ``AsyncConnection`` or ``AsyncSession`` of SQLAlchemy, that leads to the
        store's own database.
        """
        return AsyncPostgresJoined(connection, self._home, self._ask_alone, self._clock)

    def transaction(self, connection: Any) -> AsyncTransaction:
        """Say how a transaction on *connection* begins and ends."""
        return async_transaction_of(connection)

    async def _ask_alone(self, statement: Statement) -> list[Row]:
        return await self._ask(alone(statement))

    async def examine(self) -> Sequence[Finding]:
        findings = await self._ask(examine(time.time, self._durability))
        findings += await self._ask(shelves.looked_at(self._demand, self._at()))
        deadline = Patience(self._store_timeout).deadline
        pooled = await self._line.is_pooled(deadline)
        hears = await asyncio.to_thread(self._news.may_tell)
        return [*findings, pooler(pooled=pooled, hears=hears)]

    async def close(self) -> None:
        """Close every connection of its own and end the background threads."""
        await self._line.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._news.close()
        self._upkeep.close()
        self._beside.close()

    def _at(self) -> float | None:
        return None if self._clock is None else self._clock()

    async def _ask(self, steps: Steps[R], times: int = 1) -> R:
        """Carry out *steps*, each a transaction; again where that may help."""
        patience = Patience(times * self._store_timeout)

        async def perform(step: Step) -> list[Row]:
            if isinstance(step, Pause):
                await asyncio.sleep(patience.next_pause())
                return []
            if isinstance(step, Prompt):
                return await self._promptly(step)
            while True:
                try:
                    return await self._line.rows(step, patience.deadline)
                except self._line.failures as error:
                    await asyncio.sleep(patience.pause_after(error))

        return await arun(steps, perform)

    async def _promptly(self, step: Prompt) -> list[Row]:
        try:
            return await self._line.rows(step.statement, time.monotonic() + PROMPT)
        except self._line.failures as error:
            if not is_passing(error) and not is_undone(error):
                raise translation_of(error) from error
            return []

    async def _once(self, steps: Steps[R]) -> R:
        """Carry out *steps* in one transaction, if that can be done now."""
        deadline = Patience(self._store_timeout).deadline
        try:
            return await self._line.transact(steps, deadline)
        except self._line.failures as error:
            raise translation_of(error) from error

    async def _transact(self, job: Callable[[], Steps[R]]) -> R:
        """Carry out a job in one transaction; again only if it was undone."""
        patience = Patience(self._store_timeout, once=True)
        while True:
            try:
                return await self._line.transact(job(), patience.deadline)
            except self._line.failures as error:
                await asyncio.sleep(patience.pause_after(error))


def _line_of(
    server: str | AsyncConnectionPool[Any] | AsyncLine | AsyncEngine,
    size: int,
    seconds: float,
) -> AsyncLine:
    if isinstance(server, str):
        return AsyncPool(partial(async_pool_of, server, size, seconds))
    if isinstance(server, AsyncConnectionPool):
        return AsyncPool(given=server)
    if is_engine(server):
        return _line_of_engine(cast("AsyncEngine", server))
    return cast("AsyncLine", server)


def _line_of_engine(engine: AsyncEngine) -> AsyncLine:
    from keyonce.stores.postgres.engines import (  # noqa: PLC0415 - optional
        AsyncLender,
        AsyncpgLender,
        url_of_engine,
    )

    if engine.dialect.driver != "asyncpg":
        return AsyncPool(given=AsyncLender(engine))
    from keyonce.stores.postgres.asyncpg_pool import (  # noqa: PLC0415 - optional
        AsyncpgPool,
    )

    lender: Any = AsyncpgLender(engine)
    return AsyncpgPool(lender, url=url_of_engine(engine))
