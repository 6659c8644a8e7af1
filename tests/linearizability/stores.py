# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The stores that histories are recorded of, by kind and place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from keyonce.stores.memory import MemoryStore
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal


def _postgres(place: str, clock: FakeClock) -> Any:
    from keyonce.stores.postgres import PostgresStore

    return PostgresStore(place, clock=clock)


def _async_postgres(place: str, clock: FakeClock) -> Any:
    from keyonce.stores.postgres import AsyncPostgresStore

    return StorePortal(AsyncPostgresStore(place, clock=clock))


def _mysql(place: str, clock: FakeClock) -> Any:
    from keyonce.stores.mysql import MySQLStore

    return MySQLStore(place, clock=clock)


def _async_mysql(place: str, clock: FakeClock) -> Any:
    from keyonce.stores.mysql import AsyncMySQLStore

    return StorePortal(AsyncMySQLStore(place, clock=clock))


def _redis(place: str, clock: FakeClock) -> Any:
    from keyonce.stores.redis import RedisStore

    return RedisStore(place, clock=clock)


def _async_redis(place: str, clock: FakeClock) -> Any:
    from keyonce.stores.redis import AsyncRedisStore

    return StorePortal(AsyncRedisStore(place, clock=clock))


OPENED: Final[dict[str, Callable[[str, FakeClock], Any]]] = {
    "memory": lambda _place, clock: MemoryStore(clock=clock),
    "sqlite": lambda place, clock: SQLiteStore(place, clock=clock),
    "async sqlite": lambda place, clock: StorePortal(
        AsyncSQLiteStore(place, clock=clock)
    ),
    "postgres": _postgres,
    "async postgres": _async_postgres,
    "mysql": _mysql,
    "async mysql": _async_mysql,
    "redis": _redis,
    "async redis": _async_redis,
}
