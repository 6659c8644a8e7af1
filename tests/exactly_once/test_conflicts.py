# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Real conflicts with other transactions: run anew, or left with the key free."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from keyonce.core.errors import SafeToRetry
from keyonce.core.model import Identity
from keyonce.core.states import Status
from tests.exactly_once.shops import (
    FORMS,
    KINDS,
    ON_MARIADB,
    ON_POSTGRES,
    ON_SQLITE,
    Hook,
    ask,
    orders,
)

GIVEN, BLOCK = FORMS[:2]
WITHIN = 60.0
RUNS = 3
STOCK = "UPDATE stock SET left_over = left_over - 1 WHERE item = {}"
READ = "SELECT left_over FROM stock WHERE item = 1"


@contextmanager
def connected(url: str) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """Give what runs SQL on a connection of somebody else's, each by itself."""
    opened: Any
    if url.startswith("postgresql"):
        import psycopg

        opened = psycopg.connect(url, autocommit=True)
    else:
        from tests.exactly_once.shops import PyMySQL

        shop = object.__new__(PyMySQL)
        shop.url = url
        opened = shop.connect()
        opened.autocommit(True)

    def run(sql: str) -> list[tuple[Any, ...]]:
        cursor = opened.cursor()
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []

    with closing(opened):
        yield run


def overtaken(*before: str) -> Callable[[str, int], Hook]:
    """Somebody writes what this transaction has read and is about to write."""

    def met(url: str, times: int) -> Hook:
        left = [times]

        def at(point: str) -> Iterator[str]:
            if point != "begun":
                return
            yield from before
            yield READ
            if left[0]:
                left[0] -= 1
                ask(url, STOCK.format(1))
            yield STOCK.format(1)

        return at

    return met


def skewed(url: str, times: int) -> Hook:
    """Two transactions each read what the other one writes."""
    left = [times]

    def at(point: str) -> Iterator[str]:
        if point == "begun":
            yield "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"
            yield "SELECT sum(left_over) FROM stock"
            if left[0]:
                left[0] -= 1
                with connected(url) as rival:
                    rival("BEGIN ISOLATION LEVEL SERIALIZABLE")
                    rival("SELECT sum(left_over) FROM stock")
                    rival(STOCK.format(1))
                    rival("COMMIT")
            yield STOCK.format(2)

    return at


def deadlocked(
    ours: tuple[str, ...], theirs: tuple[str, ...], waits: str
) -> Callable[[str, int], Hook]:
    """Each of two holds a row and wants the other's; the server breaks off ours."""

    def met(url: str, times: int) -> Hook:
        left = [times]

        def at(point: str) -> Iterator[str]:
            if point != "begun":
                return
            yield from ours
            yield STOCK.format(1)
            if not left[0]:
                yield STOCK.format(2)
                return
            left[0] -= 1
            with crossing(url, theirs, waits):
                yield STOCK.format(2)

        return at

    return met


@contextmanager
def crossing(url: str, theirs: tuple[str, ...], waits: str) -> Iterator[None]:
    """Have somebody hold row 2 and wait for row 1, as long as the block lasts."""
    failed: list[BaseException] = []

    def cross() -> None:
        try:
            rival(STOCK.format(1))
            rival("COMMIT")
        except BaseException as error:  # noqa: BLE001 - asserted below
            failed.append(error)

    with connected(url) as rival, connected(url) as watch:
        rival("BEGIN")
        for sql in (*theirs, STOCK.format(2)):
            rival(sql)
        thread = threading.Thread(target=cross)
        thread.start()
        until = time.monotonic() + WITHIN
        while not watch(waits)[0][0]:
            assert time.monotonic() < until, "the rival does not wait"
            time.sleep(0.15)  # innodb_trx stays as it is while asked more often
        try:
            yield
        finally:
            thread.join(WITHIN)  # ends when ours is rolled back
    assert [] == failed


def held(url: str, times: int) -> Hook:
    """Somebody holds a row, longer than this transaction waits for it."""
    left = [times]

    def at(point: str) -> Iterator[str]:
        if point != "effects":  # those have to go as well
            return
        yield "SET SESSION innodb_lock_wait_timeout = 1"
        if not left[0]:
            yield STOCK.format(1)
            return
        left[0] -= 1
        with connected(url) as rival:
            rival("BEGIN")
            rival(STOCK.format(1))
            yield STOCK.format(1)

    return at


WAITS_ON_POSTGRES = (
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"
)
WAITS_ON_MARIADB = (
    "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
)
# Whoever looks for a deadlock first is broken off on PostgreSQL; on MariaDB, whoever
# has changed less.
ON = {
    ON_POSTGRES: {
        "40001 repeatable read": overtaken(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
        ),
        "40001 serializable": skewed,
        "40P01": deadlocked(
            ("SET LOCAL deadlock_timeout = '10ms'",),
            ("SET LOCAL deadlock_timeout = '60s'",),
            WAITS_ON_POSTGRES,
        ),
    },
    ON_MARIADB: {
        "1213": deadlocked(
            (),
            tuple(f"REPLACE INTO stock VALUES ({item}, 1)" for item in range(10, 40)),
            WAITS_ON_MARIADB,
        ),
        "1020": overtaken("SET SESSION innodb_snapshot_isolation = ON"),
        "1205": held,
    },
}
# Django asks for READ COMMITTED, where nobody is overtaken.
NEVER = {("DjangoOnMariaDB", "1020")}
ALL = [
    pytest.param(name, conflict, id=f"{name}-{code}", marks=pytest.mark.servers)
    for name, kind in KINDS.items()
    for kinds, conflicts in ON.items()
    if kind in kinds
    for code, conflict in conflicts.items()
    if (name, code) not in NEVER
]


@pytest.fixture
def stock(url):
    ask(url, "CREATE TABLE stock (item INT PRIMARY KEY, left_over INT)")
    ask(url, "INSERT INTO stock VALUES (1, 100), (2, 100)")
    return url


def status_of(shop: Any) -> Status:
    found = shop.guard.find(Identity("functions", "order", "o-1"))
    found = shop.runner.run(found) if hasattr(shop, "runner") else found
    status: Status = found.record.status
    return status


@pytest.mark.parametrize(("kind", "conflict"), ALL)
class TestWhereTheGuardCalls:
    def test_the_whole_is_run_anew(self, shop, stock, conflict):
        assert {"order": "o-1"} == shop.order("o-1", GIVEN, conflict(stock, 1))

        assert (2, 1) == (shop.runs, orders(stock, "o-1"))
        assert Status.COMPLETED is status_of(shop)

    def test_three_times_and_then_left(self, shop, stock, conflict):
        with pytest.raises(SafeToRetry):
            shop.order("o-1", GIVEN, conflict(stock, RUNS))

        assert (RUNS, 0) == (shop.runs, orders(stock, "o-1"))
        assert Status.RELEASED is status_of(shop)
        assert {"order": "o-1"} == shop.order("o-1", GIVEN)
        assert 1 == orders(stock, "o-1")


@pytest.mark.parametrize(("kind", "conflict"), ALL)
def test_in_a_block_the_key_is_free_and_a_retry_has_one_effect(shop, stock, conflict):
    with pytest.raises(SafeToRetry):
        shop.order("o-1", BLOCK, conflict(stock, 1))

    assert (1, 0) == (shop.runs, orders(stock, "o-1"))
    assert Status.RELEASED is status_of(shop)
    assert {"order": "o-1"} == shop.order("o-1", BLOCK)
    assert (2, 1) == (shop.runs, orders(stock, "o-1"))


class Holder:
    """Holds an SQLite file for the first *times* that a connection is asked for."""

    def __init__(self, shop: Any, times: int) -> None:
        import sqlite3

        self._shop, self._times = shop, times
        self._path = shop.url.removeprefix("sqlite:///")
        self._holder = sqlite3.connect(self._path, isolation_level=None)
        self.asked = 0
        shop.patience = 0.1

    def __call__(self, point: str) -> None:
        if point == "called":
            self.asked += 1
            if self.asked <= self._times:
                self._holder.execute("BEGIN IMMEDIATE")
        if point == "left" and self._holder.in_transaction:
            self._holder.execute("ROLLBACK")

    def close(self) -> None:
        self._holder.close()


@pytest.fixture
def holding(shop):
    holders = []

    def hold(times):
        holders.append(Holder(shop, times))
        return holders[-1]

    yield hold
    for holder in holders:
        holder.close()


FILES = [kind.__name__ for kind in ON_SQLITE]


@pytest.mark.parametrize("kind", FILES)
def test_a_busy_file_is_tried_anew(shop, url, holding):
    hold = holding(2)

    assert {"order": "o-1"} == shop.order("o-1", GIVEN, hold)

    assert (RUNS, 1) == (hold.asked, shop.runs)
    assert 1 == orders(url, "o-1")


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_stays_busy_is_left(shop, url, holding):
    hold = holding(RUNS)
    with pytest.raises(SafeToRetry):
        shop.order("o-1", GIVEN, hold)

    assert (RUNS, 0, 0) == (hold.asked, shop.runs, orders(url, "o-1"))
    assert Status.RELEASED is status_of(shop)
    assert {"order": "o-1"} == shop.order("o-1", GIVEN)
    assert 1 == orders(url, "o-1")


@pytest.mark.parametrize("kind", FILES)
def test_a_busy_file_at_a_block_frees_the_key(shop, url, holding):
    hold = holding(1)
    with pytest.raises(SafeToRetry):
        shop.order("o-1", BLOCK, hold)

    assert (0, 0) == (shop.runs, orders(url, "o-1"))
    assert Status.RELEASED is status_of(shop)
    assert {"order": "o-1"} == shop.order("o-1", BLOCK)
    assert 1 == orders(url, "o-1")
