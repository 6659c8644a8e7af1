# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The MySQL and MariaDB store for event loops."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import StoreError
from keyonce.stores.mysql import procedures
from keyonce.stores.mysql.address import address_of
from keyonce.stores.mysql.async_database import AsyncDatabase
from keyonce.stores.mysql.async_joined import AsyncJoined
from keyonce.stores.mysql.async_seats import async_seat_of
from keyonce.stores.mysql.async_transaction import async_transaction_of
from keyonce.stores.mysql.connections import OwnConnections
from keyonce.stores.mysql.database import Database, connect, open_address
from keyonce.stores.mysql.examine import examine, may_write
from keyonce.stores.mysql.handed_in import pool_of
from keyonce.stores.mysql.verbs import Verbs

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

STORE_TIMEOUT: Final = timedelta(seconds=5)
PURGE_EVERY: Final = timedelta(seconds=60)
POOL_SIZE: Final = 10
LARGE: Final = 1024 * 1024  # to quote and send more would hold up the loop


class AsyncMySQLStore:
    """MySQLStore for event loops, one at a time.

    *server* is a URL, or an AsyncEngine of SQLAlchemy over asyncmy, which stays yours;
    *pool* is an asyncmy pool to use in place of the store's own connections. The
    tables are made, and the server's settings read, while the store is made: that
    blocks, as does what `blocking` gives, over connections of its own to the same
    place, by PyMySQL.
    """

    def __init__(
        self,
        server: str | AsyncEngine,
        *,
        pool: Any | None = None,
        pool_size: int = POOL_SIZE,
        durability: Durability = "checked",
        clock: Callable[[], float] | None = None,
        store_timeout: timedelta = STORE_TIMEOUT,
        purge_every: timedelta | None = PURGE_EVERY,
        migrate: bool = True,
    ) -> None:
        """Make the tables or bring them up to date; nothing stays open until used."""
        patience = store_timeout.total_seconds()
        if isinstance(server, str):
            address = address_of(server, durability)
            durability = address.durability
        else:
            address, pool = pool_of(server, pool)
        opened = open_address(address, patience, migrates=migrate)
        self._largest = opened.largest
        self._database = AsyncDatabase(
            address,
            pool=pool,
            home=opened.home,
            pool_size=pool_size,
            clock=clock,
            store_timeout=patience,
        )
        source = OwnConnections(partial(connect, address, patience), pool_size)
        self._others = Database(
            source, home=opened.home, clock=clock, store_timeout=patience
        )
        self._durability: Durability = durability
        self._verbs = Verbs(self._others, self._largest, purge_every, durability)

    @property
    def traits(self) -> Traits:
        """What this server is able to promise."""
        return self._verbs.traits

    def blocking(self) -> Store:
        """Give the same records to other threads; closed with this store."""
        return self._verbs

    async def claim(self, command: Claim) -> Claimed:
        return await self._database.run(partial(procedures.claim, command))

    async def claim_many(
        self, commands: Sequence[Claim]
    ) -> Sequence[Claimed | StoreError]:
        """Claim each, in two trips where keys are new or taken."""
        return await self._database.run(partial(procedures.claim_many, commands))

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

    async def note(self, command: Note) -> bool:
        """Write down how far the work got, in a transaction of its own.

        Note before your own transaction begins. While one is open that has completed
        the record, a note waits, up to the store's timeout; and one that cannot see
        a later note may fail to complete, as after any write that it cannot see.
        """
        if len(command.steps or b"") > LARGE:
            return await asyncio.to_thread(self._verbs.note, command)
        return await self._database.run(
            partial(procedures.note, command, self._largest)
        )

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

    def joined(self, connection: Any) -> AsyncJoined:
        """Give the verbs inside the open transaction of *connection*.

        It is asyncmy's, or an AsyncConnection or AsyncSession of SQLAlchemy over it.

        Raises:
            ConfigurationError: it is no connection that this store can join.
        """
        begin = self._verbs.upkeep.begin
        seat = async_seat_of(connection)
        return AsyncJoined(seat, self._database, self._largest, begin)

    def transaction(self, connection: Any) -> AsyncTransaction:
        """Say how a transaction on *connection* begins and ends."""
        return async_transaction_of(connection)

    async def examine(self) -> Sequence[Finding]:
        refusal = None
        try:
            await self._database.run(may_write)
        except StoreError as error:
            refusal = error
        look = partial(examine, self._largest, self._durability, time.time, refusal)
        return await self._database.run(look)

    async def close(self) -> None:
        """Close every connection of the store's own and end the background thread."""
        await self._database.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._verbs.upkeep.close()
        self._others.close()
