# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The Redis store for event loops."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from keyonce.stores.redis import procedures
from keyonce.stores.redis.async_server import AsyncServer
from keyonce.stores.redis.keys import DEFAULT_PREFIX
from keyonce.stores.redis.met import Met
from keyonce.stores.redis.opening import opened_for_loops
from keyonce.stores.redis.verbs import TRAITS, Verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    from keyonce.stores.durability import Durability
    from keyonce.stores.news import NewsWatch

R = TypeVar("R")

STORE_TIMEOUT: Final = timedelta(seconds=5)


class AsyncRedisStore:
    """RedisStore for one event loop.

    *place* is a URL or an asyncio client. Other threads, and what operators ask
    for, go by connections of their own, which are opened when they are needed.
    """

    def __init__(
        self,
        place: str | Any,
        *,
        clock: Callable[[], float] | None = None,
        store_timeout: timedelta = STORE_TIMEOUT,
        prefix: str = DEFAULT_PREFIX,
        durability: Durability = "checked",
    ) -> None:
        """Read the URL; nothing is opened until it is used."""
        client, ours, self._threads, self._names, self._news = opened_for_loops(
            place,
            clock=clock,
            timeout=store_timeout.total_seconds(),
            prefix=prefix,
            durability=durability,
        )
        self._server = AsyncServer(
            client,
            self._threads,
            timeout=store_timeout.total_seconds(),
            ours=ours,
        )
        self._verbs = Verbs(self._threads, self._names, self._news)
        self._met = Met()

    def only_look(self, warn: Callable[[str], None]) -> None:
        """Tell *warn* why the server would be refused, and look at it all the same."""
        self._verbs.only_look(warn)

    @property
    def traits(self) -> Traits:
        """What a Redis server is able to promise."""
        return TRAITS

    def blocking(self) -> Store:
        """Give the same records to other threads; closed with this store."""
        return self._verbs

    async def claim(self, command: Claim) -> Claimed:
        met = self._met.again(command.identity)
        now = self._threads.now()
        return await self._server.run(
            procedures.claim(self._names, command, now, met=met)
        )

    async def claim_many(
        self, commands: Sequence[Claim]
    ) -> Sequence[Claimed | StoreError]:
        """Claim each, by one pipeline of scripts."""
        for command in commands:
            self._met.again(command.identity)
        now = self._threads.now()
        return await self._server.run(procedures.claim_many(self._names, commands, now))

    async def complete(self, command: Completion) -> Record | None:
        now = self._threads.now()
        return await self._server.run(procedures.complete(self._names, command, now))

    async def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        now = self._threads.now()
        return await self._server.run(
            procedures.release(self._names, identity, owner, reason, retention_for, now)
        )

    async def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        now = self._threads.now()
        return await self._server.run(
            procedures.abandon(self._names, identity, owner, reason, now)
        )

    async def renew(self, identity: Identity, owner: bytes) -> Record | None:
        now = self._threads.now()
        return await self._server.run(
            procedures.renew(self._names, identity, owner, now)
        )

    async def note(self, command: Note) -> bool:
        return await self._server.run(procedures.note(self._names, command))

    async def find(self, identity: Identity) -> Claimed | None:
        now = self._threads.now()
        return await self._server.run(procedures.find(self._names, identity, now))

    def watch(self, identity: Identity, wake: Callable[[], object]) -> NewsWatch | None:
        """Have *wake* called at news; None where no second client can be made."""
        return self._news.watch(self._names.news_name(identity), wake)

    async def announce(self, identity: Identity) -> bool:
        return await self._server.run(procedures.announce(self._names, identity))

    async def settle(self, command: Settlement) -> Record:
        return await asyncio.to_thread(self._verbs.settle, command)

    async def records(self, query: Query) -> Sequence[Record]:
        return await asyncio.to_thread(self._verbs.records, query)

    async def audits(self, identity: Identity | None = None) -> Sequence[AuditRow]:
        return await asyncio.to_thread(self._verbs.audits, identity)

    async def stats(self) -> StoreStats:
        return await asyncio.to_thread(self._verbs.stats)

    async def purge(self, limit: int = 1000) -> int:
        return await asyncio.to_thread(self._verbs.purge, limit)

    async def examine(self) -> Sequence[Finding]:
        return await asyncio.to_thread(self._verbs.examine)

    async def close(self) -> None:
        """Close every connection that was made here, and end the thread."""
        await self._server.close()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._news.close()
        self._threads.close()
