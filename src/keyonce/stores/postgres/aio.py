# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The PostgreSQL store for event loops."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from psycopg_pool import AsyncConnectionPool

from keyonce.core.flow import arun
from keyonce.stores.postgres import procedures
from keyonce.stores.postgres.connecting import async_pool_of, pool_of, url_of
from keyonce.stores.postgres.examine import examine, pooler
from keyonce.stores.postgres.lately import Lately
from keyonce.stores.postgres.opening import set_up
from keyonce.stores.postgres.patience import Patience
from keyonce.stores.postgres.pools import AsyncPool, Pool
from keyonce.stores.postgres.steps import Pause, Prompt
from keyonce.stores.postgres.translate import is_passing, is_undone, translation_of
from keyonce.stores.postgres.upkeep import Upkeep
from keyonce.stores.postgres.verbs import AT_LEISURE, PROMPT, TRAITS, Verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyonce.core.model import (
        AuditRow,
        Claim,
        Claimed,
        Completion,
        Finding,
        Identity,
        Query,
        Record,
        Settlement,
        StoreStats,
        Traits,
    )
    from keyonce.core.protocols import Store
    from keyonce.stores.postgres.asyncpg_pool import AsyncpgPool
    from keyonce.stores.postgres.line import AsyncLine
    from keyonce.stores.postgres.steps import Step, Steps
    from keyonce.stores.statement import Row

R = TypeVar("R")

STORE_TIMEOUT: Final = timedelta(seconds=5)
PURGE_EVERY: Final = timedelta(seconds=60)
POOL_SIZE: Final = 10
BESIDE: Final = 2  # connections of other threads: heartbeats, purging


class AsyncPostgresStore:
    """PostgresStore for event loops.

    *server* is a ``postgresql://`` URL, an open psycopg AsyncConnectionPool, or an
    AsyncpgPool; a pool stays yours. Other threads (heartbeats, purging) have up to
    two connections of their own, opened when they are needed.
    """

    def __init__(
        self,
        server: str | AsyncConnectionPool[Any] | AsyncpgPool,
        *,
        clock: Callable[[], float] | None = None,
        store_timeout: timedelta = STORE_TIMEOUT,
        purge_every: timedelta | None = PURGE_EVERY,
        pool_size: int = POOL_SIZE,
    ) -> None:
        """Make the tables or bring them up to date; nothing stays open until used."""
        seconds = store_timeout.total_seconds()
        url = url_of(server)
        set_up(url, seconds)
        self._line: AsyncLine = _line_of(server, pool_size, seconds)
        self._clock = clock
        self._store_timeout = seconds
        self._lately = Lately()
        self._beside = Pool(partial(pool_of, url, BESIDE, seconds))
        self._verbs = Verbs(self._beside, clock=clock, store_timeout=seconds)
        every = None if purge_every is None else purge_every.total_seconds()
        self._upkeep = Upkeep(self._verbs.purge, every)

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

    async def complete(self, command: Completion) -> Record | None:
        return await self._ask(procedures.complete(command, self._at()))

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

    async def find(self, identity: Identity) -> Claimed | None:
        return await self._ask(procedures.find(identity, self._at()))

    async def settle(self, command: Settlement) -> Record:
        return await self._transact(lambda: procedures.settle(command, self._at()))

    async def records(self, query: Query) -> Sequence[Record]:
        return await self._ask(procedures.records(query, self._at()), AT_LEISURE)

    async def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return await self._ask(procedures.audits(identity), AT_LEISURE)

    async def stats(self) -> StoreStats:
        return await self._ask(procedures.stats(self._at()), AT_LEISURE)

    async def purge(self, limit: int = 1000) -> int:
        return await self._ask(procedures.purge(limit, self._at()), AT_LEISURE)

    async def examine(self) -> Sequence[Finding]:
        findings = await self._ask(examine(time.time))
        deadline = Patience(self._store_timeout).deadline
        pooled = await self._line.is_pooled(deadline)
        return [*findings, pooler(pooled=pooled)]

    async def close(self) -> None:
        """Close every connection of its own and end the background thread."""
        await self._line.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
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

    async def _transact(self, job: Callable[[], Steps[R]]) -> R:
        """Carry out a job in one transaction; again only if it was undone."""
        patience = Patience(self._store_timeout, once=True)
        while True:
            try:
                return await self._line.transact(job(), patience.deadline)
            except self._line.failures as error:
                await asyncio.sleep(patience.pause_after(error))


def _line_of(
    server: str | AsyncConnectionPool[Any] | AsyncLine, size: int, seconds: float
) -> AsyncLine:
    if isinstance(server, str):
        return AsyncPool(partial(async_pool_of, server, size, seconds))
    if isinstance(server, AsyncConnectionPool):
        return AsyncPool(given=server)
    return server
