# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""An inbox of threads and one of loops, alike from here, over any store."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from typing import Any

from keyonce.inbox.aio import AsyncInbox
from keyonce.inbox.sync import Inbox
from keyonce.stores.url import open_async_store, open_store

SETTINGS = {
    "consumer": "billing",
    "retention": timedelta(days=14),
    "guarantee": "at-least-once",
}


class Threads:
    """The inbox for threads."""

    open: Any = staticmethod(open_store)
    kind: Any = Inbox

    def __init__(self, store, **settings):
        self.store = store
        self.inbox: Any = self.kind(store, **{**SETTINGS, **settings})

    @asynccontextmanager
    async def receive(self, message_id, **given):
        with self.inbox.receive(message_id, **given) as delivery:
            yield delivery

    @asynccontextmanager
    async def receive_many(self, messages, **given):
        with self.inbox.receive_many(messages, **given) as deliveries:
            yield deliveries

    async def records(self, query):
        return self.store.records(query)

    async def settle(self, settlement):
        return self.store.settle(settlement)

    async def claim(self, claim):
        return self.store.claim(claim)

    async def close(self):
        self.inbox.close()


class Loops(Threads):
    """The inbox for event loops."""

    open = staticmethod(open_async_store)
    kind = AsyncInbox

    @asynccontextmanager
    async def receive(self, message_id, **given):
        async with self.inbox.receive(message_id, **given) as delivery:
            yield delivery

    @asynccontextmanager
    async def receive_many(self, messages, **given):
        async with self.inbox.receive_many(messages, **given) as deliveries:
            yield deliveries

    async def records(self, query):
        return await self.store.records(query)

    async def settle(self, settlement):
        return await self.store.settle(settlement)

    async def claim(self, claim):
        return await self.store.claim(claim)

    async def close(self):
        await self.inbox.close()


def connected(path):
    """Connect as a caller does; transactions begin when they are begun."""
    return closing(sqlite3.connect(path, isolation_level=None))


def effects(path):
    """The messages that were charged, with doubles."""
    with connected(path) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM charges")]


def charge(connection, name):
    connection.execute("INSERT INTO charges (name) VALUES (?)", (name,))
