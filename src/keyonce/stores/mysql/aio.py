# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The MySQL and MariaDB store for event loops."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from keyonce.stores.mysql import procedures
from keyonce.stores.mysql.address import address_of
from keyonce.stores.mysql.async_database import AsyncDatabase
from keyonce.stores.mysql.connections import OwnConnections
from keyonce.stores.mysql.database import Database, connect
from keyonce.stores.mysql.examine import examine
from keyonce.stores.mysql.opening import open_database
from keyonce.stores.mysql.verbs import Verbs

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

STORE_TIMEOUT: Final = timedelta(seconds=5)
PURGE_EVERY: Final = timedelta(seconds=60)
POOL_SIZE: Final = 10
LARGE: Final = 1024 * 1024  # to quote and send more would hold up the loop


class AsyncMySQLStore:
    """MySQLStore for event loops, one at a time.

    *pool* is an asyncmy pool to use in place of the store's own connections. The
    tables are made, and the server's settings read, while the store is made: that
    blocks, as does what `blocking` gives, over connections of its own.
    """

    def __init__(
        self,
        url: str,
        *,
        pool: Any | None = None,
        pool_size: int = POOL_SIZE,
        clock: Callable[[], float] | None = None,
        store_timeout: timedelta = STORE_TIMEOUT,
        purge_every: timedelta | None = PURGE_EVERY,
    ) -> None:
        """Make the tables or bring them up to date; nothing stays open until used."""
        address = address_of(url)
        patience = store_timeout.total_seconds()
        self._largest = open_database(address, patience)
        self._database = AsyncDatabase(
            address,
            pool=pool,
            pool_size=pool_size,
            clock=clock,
            store_timeout=patience,
        )
        source = OwnConnections(partial(connect, address, patience), pool_size)
        self._others = Database(source, clock=clock, store_timeout=patience)
        self._verbs = Verbs(self._others, self._largest, purge_every)

    @property
    def traits(self) -> Traits:
        """What this server is able to promise."""
        return self._verbs.traits

    def blocking(self) -> Store:
        """Give the same records to other threads; closed with this store."""
        return self._verbs

    async def claim(self, command: Claim) -> Claimed:
        return await self._database.run(partial(procedures.claim, command))

    async def complete(self, command: Completion) -> Record | None:
        if len(command.result.body) > LARGE:
            return await asyncio.to_thread(self._verbs.complete, command)
        self._verbs.upkeep.begin()
        return await self._database.run(
            partial(procedures.complete, command, self._largest)
        )

    async def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return await self._database.run(
            partial(procedures.release, identity, owner, reason, retention_for)
        )

    async def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return await self._database.run(
            partial(procedures.abandon, identity, owner, reason)
        )

    async def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return await self._database.run(partial(procedures.renew, identity, owner))

    async def find(self, identity: Identity) -> Claimed | None:
        return await self._database.run(partial(procedures.find, identity))

    async def settle(self, command: Settlement) -> Record:
        work = partial(procedures.settle, command, self._largest)
        return await self._database.run(work, whole=True)

    async def records(self, query: Query) -> Sequence[Record]:
        return await self._database.run(partial(procedures.records, query))

    async def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return await self._database.run(partial(procedures.audits, identity))

    async def stats(self) -> StoreStats:
        return await self._database.run(procedures.stats)

    async def purge(self, limit: int = 1000) -> int:
        return await self._database.run(partial(procedures.purge, limit))

    async def examine(self) -> Sequence[Finding]:
        return await self._database.run(partial(examine, self._largest))

    async def close(self) -> None:
        """Close every connection of the store's own and end the background thread."""
        await self._database.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._verbs.upkeep.close()
        self._others.close()
