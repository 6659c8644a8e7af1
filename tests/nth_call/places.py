# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Where records and effects live: each store there is, behind a line that can be cut."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

from keyonce.core.guarantee import Guarantee
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.stores.sealed import AsyncSealed, Sealed
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.stores.tiered import AsyncTiered, MemoryCache, Tiered
from keyonce.testing.clock import FakeClock
from tests.exactly_once.shops import KINDS as SHOPS
from tests.exactly_once.shops import TABLE, ask
from tests.servers.relay import Relay
from tests.stores.sealed.cases import RING

#: How long a store goes on trying by itself.
PATIENCE: Final = timedelta(seconds=20)
WEAK: Final = frozenset(Guarantee) - {Guarantee.EXACTLY_ONCE}


@dataclass(frozen=True)
class Place:
    """One database, as one life finds it. *near* leads to it past the line."""

    kind: str
    near: str = ""
    far: str = ""
    line: Relay | None = None
    shops: tuple[str, str] = ("", "")

    @property
    def guarantees(self) -> frozenset[Guarantee]:
        """What can be promised here."""
        return frozenset(Guarantee) if self.shops[0] else WEAK

    def open(self, clock: FakeClock, *, aio: bool) -> Any:
        """Open the store; an async one inside the loop that runs."""
        return OPEN[self.kind](self, clock, aio=aio)

    def shop(self, *, aio: bool) -> Any:
        """Give who writes effects beside the records."""
        shop: Any = object.__new__(SHOPS[self.shops[aio]])
        shop.url = self.near
        return shop


class Places:
    """A place for each life: a file of its own, or the one server's database."""

    def __init__(self, folder: Path, shared: Place | None = None) -> None:
        self._folder = folder
        self._shared = shared
        self._numbers = count()

    def place(self, kind: str) -> Place:
        """Give a place of *kind*."""
        if self._shared is not None:
            return self._shared
        if kind in {"memory", "sealed memory", "tiered memory"}:
            return Place(kind)
        file = self._folder / f"{next(self._numbers)}.db"
        file.touch(mode=0o600)
        url = f"sqlite:///{file}"
        ask(url, TABLE)
        return Place(kind, url, url, shops=("Sqlite3", "AsyncSqlite3"))


def _memory(place: Place, clock: FakeClock, *, aio: bool) -> Any:
    return AsyncMemoryStore(clock=clock) if aio else MemoryStore(clock=clock)


def _sqlite(place: Place, clock: FakeClock, *, aio: bool) -> Any:
    file = place.far.removeprefix("sqlite:///")
    return (AsyncSQLiteStore if aio else SQLiteStore)(file, clock=clock)


def _postgres(place: Place, clock: FakeClock, *, aio: bool) -> Any:
    from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore

    kind = AsyncPostgresStore if aio else PostgresStore
    return kind(place.far, clock=clock, store_timeout=PATIENCE)


def _mysql(place: Place, clock: FakeClock, *, aio: bool) -> Any:
    from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore

    kind = AsyncMySQLStore if aio else MySQLStore
    return kind(place.far, clock=clock, store_timeout=PATIENCE)


def _redis(place: Place, clock: FakeClock, *, aio: bool) -> Any:
    from keyonce.stores.redis import AsyncRedisStore, RedisStore

    kind = AsyncRedisStore if aio else RedisStore
    return kind(place.far, clock=clock, store_timeout=PATIENCE)


def _dynamodb(place: Place, clock: FakeClock, *, aio: bool) -> Any:
    from keyonce.stores.dynamodb import DynamoDBStore
    from keyonce.stores.dynamodb.aio import AsyncDynamoDBStore

    return (AsyncDynamoDBStore if aio else DynamoDBStore)(place.far, clock=clock)


def _sealed(place: Place, clock: FakeClock, *, aio: bool) -> Any:
    kind = AsyncSealed if aio else Sealed
    return kind(OPEN[place.kind.split()[1]](place, clock, aio=aio), RING)


def _tiered(place: Place, clock: FakeClock, *, aio: bool) -> Any:
    kind = AsyncTiered if aio else Tiered
    durable = OPEN[place.kind.split()[1]](place, clock, aio=aio)
    return kind(MemoryCache(), durable, clock=clock)


OPEN: Final = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgres": _postgres,
    "mysql": _mysql,
    "redis": _redis,
    "dynamodb": _dynamodb,
    "sealed memory": _sealed,
    "sealed sqlite": _sealed,
    "sealed postgres": _sealed,
    "tiered memory": _tiered,
    "tiered sqlite": _tiered,
    "tiered postgres": _tiered,
}
