# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The room that a key takes in each store, and how fast keys come and go.

`src/keyonce/cli/measured.py` holds what this prints.
"""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from benchmarks.growth import key_of
from benchmarks.keys import claim_of, completion_of
from benchmarks.table import Line
from keyonce.core.model import StoredResult
from keyonce.stores.sqlite import SQLiteStore
from keyonce.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from benchmarks.plan import Plan
    from keyonce.core.protocols import Store

GROUP: Final = "room"
THREADS: Final = 8
# Bytes of an answer, and how many keys are enough to tell.
SIZES: Final = {0: 1.0, 300: 1.0, 2048: 1.0, 8192: 0.25, 65536: 0.05}
RETENTION: Final = 86_400.0

Opened = tuple["Store", "Callable[[], int]"]


def measure(plan: Plan) -> Iterator[Line]:
    """Fill each store with answers of each size."""
    keys = plan.either(2_000, 20_000)
    for name, new in STORES.items():
        with new(plan.folder) as opened:
            for size, share in SIZES.items():
                yield from _fill(name, opened, size, round(keys * share))


def _fill(
    name: str,
    opened: Callable[[FakeClock], AbstractContextManager[Opened]],
    size: int,
    keys: int,
) -> Iterator[Line]:
    clock = FakeClock(now=time.time())
    with opened(clock) as (store, used):
        before = used()
        began = time.perf_counter()
        fill(store, keys, size)
        took = time.perf_counter() - began
        yield _line(
            name, f"a key with {size:,} bytes", (used() - before) / keys, "bytes"
        )
        yield _line(name, f"keys of {size:,} bytes written", keys / took, "/s")
        if name == "redis":
            return  # it removes what has expired by itself
        clock.advance(2 * RETENTION)
        began, purged = time.perf_counter(), 0
        while removed := store.purge(1000):
            purged += removed
        if purged:
            took = time.perf_counter() - began
            yield _line(name, f"keys of {size:,} bytes purged", purged / took, "/s")


def _line(name: str, what: str, value: float, unit: str) -> Line:
    return Line(group=f"{GROUP}, {name}", what=what, value=value, unit=unit)


def fill(store: Store, keys: int, size: int) -> None:
    """Do the work of *keys* keys, with answers of *size* bytes, by a few threads."""
    outcome = StoredResult(201, (), b"n" * size, size=size)

    def one(number: int) -> None:
        command = claim_of(key_of(number))
        store.claim(command)
        store.complete(completion_of(command, outcome))

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(one, range(keys), chunksize=50):
            pass


@contextmanager
def _sqlite(folder: Path) -> Iterator[Any]:
    @contextmanager
    def opened(clock: FakeClock) -> Iterator[Opened]:
        path = folder / f"room-{time.monotonic_ns()}.db"
        store = SQLiteStore(path, clock=clock, purge_every=None)
        try:
            yield store, lambda: size_of_file(path)
        finally:
            store.close()
            path.unlink()

    yield opened


def size_of_file(path: Path) -> int:
    """Give the bytes of an SQLite file, with its log written back."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages: int = raw.execute("PRAGMA page_count").fetchone()[0]
        page: int = raw.execute("PRAGMA page_size").fetchone()[0]
    return pages * page


@contextmanager
def _postgres(_folder: Path) -> Iterator[Any]:
    # By name: the servers of the tests are not typed.
    servers = import_module("tests.servers.postgres")
    postgres = import_module("keyonce.stores.postgres")
    programs = servers.installed()
    server = servers.PostgresServer(programs[max(programs, key=int)]).start()

    @contextmanager
    def opened(clock: FakeClock) -> Iterator[Opened]:
        name = server.new_database()
        store = postgres.PostgresStore(server.url(name), clock=clock, purge_every=None)
        try:
            yield store, lambda: int(server.run_sql(POSTGRES_ROOM, name)[0][0])
        finally:
            store.close()

    try:
        yield opened
    finally:
        server.close()


POSTGRES_ROOM: Final = (
    "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class "
    "WHERE relname LIKE 'keyonce\\_%' AND relkind IN ('r', 'p')"
)


@contextmanager
def _mysql(folder: Path) -> Iterator[Any]:
    servers = import_module("tests.servers.mariadb")
    mysql = import_module("keyonce.stores.mysql")
    server = servers.MariaDB(folder)
    server.start()

    @contextmanager
    def opened(clock: FakeClock) -> Iterator[Opened]:
        url = server.database("room")
        store = mysql.MySQLStore(url, clock=clock, purge_every=None)
        try:
            yield store, lambda: _room_of(server)
        finally:
            store.close()

    try:
        yield opened
    finally:
        server.stop()


def _room_of(server: Any) -> int:
    server.ask("ANALYZE TABLE keyonce_records", "room")
    return int(server.ask(MYSQL_ROOM)[0][0])


MYSQL_ROOM: Final = (
    "SELECT data_length + index_length FROM information_schema.tables "
    "WHERE table_schema = 'room' AND table_name = 'keyonce_records'"
)


@contextmanager
def _redis(folder: Path) -> Iterator[Any]:
    servers = import_module("tests.servers.redis")
    redis = import_module("keyonce.stores.redis")
    server = servers.RedisServer(servers.redis_program(), folder / "redis").start()

    @contextmanager
    def opened(clock: FakeClock) -> Iterator[Opened]:
        server.ask("FLUSHALL")
        store = redis.RedisStore(server.url, clock=clock)
        try:
            yield store, lambda: int(server.ask("INFO", "memory")["used_memory"])
        finally:
            store.close()

    try:
        yield opened
    finally:
        server.stop()


STORES: Final[dict[str, Callable[[Path], AbstractContextManager[Any]]]] = {
    "sqlite": _sqlite,
    "postgres": _postgres,
    "mysql": _mysql,
    "redis": _redis,
}
