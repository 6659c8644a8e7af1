# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The raw drivers of remote stores, on the simplest layout that could do.

The floor is what cannot be left out: one write that claims a key, one that completes
it, and one read for a replay, each a round trip on a connection that stays open.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import asyncpg
import psycopg
import redis.asyncio

from benchmarks.apps import ANSWER

KEPT_FOR: Final = 3600
SIMPLEST: Final = """
CREATE TABLE answers (
    scope TEXT NOT NULL, operation TEXT NOT NULL, key TEXT NOT NULL,
    digest BYTEA, status INT2, body BYTEA,
    PRIMARY KEY (scope, operation, key)
)
"""
CLAIM: Final = (
    "INSERT INTO answers (scope, operation, key, digest) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT DO NOTHING"
)
COMPLETE: Final = (
    "UPDATE answers SET status = 201, body = $4"
    " WHERE scope = $1 AND operation = $2 AND key = $3"
)
READ: Final = (
    "SELECT digest, status, body FROM answers"
    " WHERE scope = $1 AND operation = $2 AND key = $3"
)
SCOPE: Final = "a-scope-of-22-letters-"
OPERATION: Final = "POST /orders"
DIGEST: Final = b"d" * 32


class Driver(Protocol):
    """The three steps, on the simplest layout."""

    async def claim(self, key: str) -> None: ...

    async def complete(self, key: str) -> None: ...

    async def read(self, key: str) -> None: ...

    async def close(self) -> None: ...


class Psycopg:
    """psycopg, on one connection that commits each statement."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Speak over *connection*."""
        self._cursor = psycopg.AsyncRawCursor(connection)
        self.close = connection.close

    async def claim(self, key: str) -> None:
        await self._cursor.execute(CLAIM, (SCOPE, OPERATION, key, DIGEST))

    async def complete(self, key: str) -> None:
        await self._cursor.execute(COMPLETE, (SCOPE, OPERATION, key, ANSWER))

    async def read(self, key: str) -> None:
        await self._cursor.execute(READ, (SCOPE, OPERATION, key))
        await self._cursor.fetchall()


class Asyncpg:
    """asyncpg, on one connection."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        """Speak over *connection*."""
        self._connection = connection

    async def claim(self, key: str) -> None:
        await self._connection.execute(CLAIM, SCOPE, OPERATION, key, DIGEST)

    async def complete(self, key: str) -> None:
        await self._connection.execute(COMPLETE, SCOPE, OPERATION, key, ANSWER)

    async def read(self, key: str) -> None:
        await self._connection.fetch(READ, SCOPE, OPERATION, key)

    async def close(self) -> None:
        await self._connection.close()


class Redis:
    """redis-py, a text for each key."""

    def __init__(self, client: Any) -> None:
        """Speak by *client*."""
        self._client = client

    async def claim(self, key: str) -> None:
        await self._client.set(f"raw:{key}", DIGEST, nx=True, ex=KEPT_FOR)

    async def complete(self, key: str) -> None:
        await self._client.set(f"raw:{key}", ANSWER, xx=True, ex=KEPT_FOR)

    async def read(self, key: str) -> None:
        await self._client.get(f"raw:{key}")

    async def close(self) -> None:
        await self._client.aclose()


async def drivers_for(postgres: str, server: str) -> dict[str, Driver]:
    """Connect to both servers by each driver, with the simplest table made."""
    connection = await psycopg.AsyncConnection.connect(postgres, autocommit=True)
    await connection.execute(SIMPLEST)
    return {
        "psycopg": Psycopg(connection),
        "asyncpg": Asyncpg(await asyncpg.connect(postgres)),
        "redis-py": Redis(redis.asyncio.Redis.from_url(server)),
    }
