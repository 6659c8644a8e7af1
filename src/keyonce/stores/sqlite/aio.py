# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The SQLite store for event loops."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from keyonce.stores.shell import answered, unanswered
from keyonce.stores.sqlite import procedures
from keyonce.stores.sqlite.claiming import claiming, claiming_many
from keyonce.stores.sqlite.database import Database
from keyonce.stores.sqlite.filesystem import MOUNT_TABLE
from keyonce.stores.sqlite.group import GroupWriter
from keyonce.stores.sqlite.joined import AsyncSQLiteJoined
from keyonce.stores.sqlite.transaction import AsyncSQLiteTransaction
from keyonce.stores.sqlite.verbs import PAGE_BITS, TRAITS, Verbs

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from keyonce.core.errors import StoreError
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
    from keyonce.core.protocols import Store
    from keyonce.stores.statement import Row

STORE_TIMEOUT: Final = timedelta(seconds=5)
PURGE_EVERY: Final = timedelta(seconds=60)


class AsyncSQLiteStore:
    """SQLiteStore for event loops, any number of them.

    One thread writes: what comes in during one commit shares the next. A read
    is done at once in the loop's own thread, so a replay waits for nobody.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time.time,
        store_timeout: timedelta = STORE_TIMEOUT,
        purge_every: timedelta | None = PURGE_EVERY,
        mount_table: Path = MOUNT_TABLE,
        migrate: bool = True,
    ) -> None:
        """Make the file or bring it up to date; nothing stays open until used."""
        self._database = Database(
            path,
            clock=clock,
            store_timeout=store_timeout,
            purge_every=purge_every,
            mount_table=mount_table,
            migrates=migrate,
        )
        self._verbs = Verbs(self._database)
        self._writer = GroupWriter(self._database)

    @property
    def traits(self) -> Traits:
        """What an SQLite file is able to promise."""
        return TRAITS

    @property
    def folder(self) -> Path:
        """Where the file is, and where large bodies may wait beside it."""
        return self._database.path.parent

    def blocking(self) -> Store:
        """Give the same records to other threads; closed with this store."""
        return self._verbs

    def glance(self, identity: Identity) -> Claimed | None:
        rows = self._database.glance(identity)
        if not rows:
            return None
        return procedures.found(rows, identity, self._database.now())

    async def claim(self, command: Claim) -> Claimed:
        rows = await self._find(command.identity)
        seen = procedures.first_look(rows, command, self._database.now())
        if seen is not None:
            return seen
        return await self._writer.write(claiming(command))

    async def claim_many(
        self, commands: Sequence[Claim]
    ) -> Sequence[Claimed | StoreError]:
        """Claim each; what has to be written is one transaction."""
        found = [await self._find(command.identity) for command in commands]
        now = self._database.now()
        seen = procedures.first_look_each(found, commands, now)
        left = unanswered(commands, seen)
        written = await self._writer.write(claiming_many(left)) if left else []
        return answered(seen, written)

    async def complete(self, command: Completion) -> Record | None:
        done = await self._writer.write(partial(procedures.complete, command))
        self._database.upkeep.count(len(command.result.body) >> PAGE_BITS)
        return done

    async def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return await self._writer.write(
            partial(procedures.release, identity, owner, reason, retention_for)
        )

    async def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return await self._writer.write(
            partial(procedures.abandon, identity, owner, reason)
        )

    async def renew(self, identity: Identity, owner: bytes) -> Record | None:
        return await self._writer.write(partial(procedures.renew, identity, owner))

    async def note(self, command: Note) -> bool:
        return await self._writer.write(partial(procedures.note, command))

    async def find(self, identity: Identity) -> Claimed | None:
        rows = await self._find(identity)
        return procedures.found(rows, identity, self._database.now())

    async def settle(self, command: Settlement) -> Record:
        return await self._writer.write(partial(procedures.settle, command))

    async def records(self, query: Query) -> Sequence[Record]:
        return await asyncio.to_thread(self._verbs.records, query)

    async def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return await asyncio.to_thread(self._verbs.audits, identity)

    async def stats(self) -> StoreStats:
        return await asyncio.to_thread(self._verbs.stats)

    async def purge(self, limit: int = 1000) -> int:
        return await self._writer.write(partial(procedures.purge, limit))

    def joined(self, connection: Any) -> AsyncSQLiteJoined:
        """Give the verbs inside the open transaction of *connection*.

        It is a ``sqlite3.Connection`` of this thread, or a ``Connection`` or
        ``Session`` of SQLAlchemy over one, whose main database is the store's file.
        """
        return AsyncSQLiteJoined(connection, self._database)

    def transaction(self, connection: Any) -> AsyncSQLiteTransaction:
        """Say how a transaction on *connection* begins and ends."""
        return AsyncSQLiteTransaction(connection)

    async def examine(self) -> Sequence[Finding]:
        return await asyncio.to_thread(self._verbs.examine)

    async def close(self) -> None:
        """Write what is queued, close every connection, end the threads."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writer.close()
        self._database.close()

    async def _find(self, identity: Identity) -> list[Row]:
        rows = self._database.glance(identity)
        if rows is None:
            return await asyncio.to_thread(self._database.find, identity)
        return rows
