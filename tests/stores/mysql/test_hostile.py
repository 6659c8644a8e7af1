# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The contract again, where server and lent connections are set against it."""

from __future__ import annotations

import queue
from typing import Any

import pymysql
import pytest
from asyncmy.pool import Pool
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    record_in,
    settlement_of,
)
from tests.servers.mariadb import MariaDB

HOSTILE = (
    "--transaction-isolation=SERIALIZABLE",
    "--innodb-snapshot-isolation=ON",
    "--sql-mode=ANSI,NO_BACKSLASH_ESCAPES",
    "--autocommit=0",
    "--default-time-zone=-07:00",
    "--character-set-server=latin1",
    "--collation-server=latin1_swedish_ci",
    "--innodb-strict-mode=OFF",
    "--default-storage-engine=MyISAM",
    "--log-bin=log",
    "--binlog-format=MIXED",
    "--lower-case-table-names=1",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = MariaDB(tmp_path_factory.mktemp("hostile"), *HOSTILE)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def clock():
    return FakeClock()


class TestMySQLStoreOnAHostileServer(StoreContract):
    @pytest.fixture
    def store(self, clock, used_url):
        store = MySQLStore(used_url, clock=clock)
        yield store
        store.close()


class TestAsyncMySQLStoreOnAHostileServer(StoreContract):
    @pytest.fixture
    def store(self, clock, used_url):
        store = StorePortal(AsyncMySQLStore(used_url, clock=clock))
        yield store
        store.close()


class LentPool:
    """A pool as an application has it: nothing about it is made for us."""

    def __init__(self, server, database):
        self.idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._server = server
        self._database = database

    def connection(self):
        try:
            found = self.idle.get_nowait()
        except queue.Empty:
            found = pymysql.connect(
                host="127.0.0.1",
                port=self._server.port,
                user="root",
                database=self._database,
                cursorclass=DictCursor,
                client_flag=CLIENT.FOUND_ROWS,
                init_command="SET sql_mode = 'STRICT_TRANS_TABLES'",
                ssl_disabled=True,
                autocommit=False,
            )
        return Lent(self, found)


class Lent:
    def __init__(self, pool, connection):
        self._pool = pool
        self._connection = connection

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def close(self):
        self._connection.rollback()
        self._pool.idle.put(self._connection)


class TestMySQLStoreOverLentConnections(StoreContract):
    @pytest.fixture
    def store(self, server, clock, used_url):
        pool = LentPool(server, "used")
        store = MySQLStore(used_url, pool=pool.connection, clock=clock)
        yield store
        store.close()
        while not pool.idle.empty():
            pool.idle.get().close()


@pytest.mark.parametrize("autocommit", [False, True])
async def test_an_asyncmy_pool_can_be_lent(server, used_url, autocommit):
    settings = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": "root",
        "database": "used",
        "autocommit": autocommit,
        "init_command": "SET sql_mode = 'STRICT_TRANS_TABLES'",
    }
    async with Pool(1, 4, **settings) as pool:
        store = AsyncMySQLStore(used_url, pool=pool)

        claimed = (await store.claim(claim_of())).record
        refused = (await store.claim(claim_of(owner=SECOND))).record
        renewed = await store.renew(ORDER, FIRST)
        await store.abandon(ORDER, FIRST, "crashed")
        released = await store.settle(settlement_of())
        await store.claim(claim_of(owner=SECOND))
        done = await store.complete(completion_of(owner=SECOND))
        elsewhere = store.blocking().find(ORDER)
        await store.close()

        assert renewed is not None
        assert elsewhere is not None
        assert [FIRST] * 3 == [claimed.owner, refused.owner, renewed.owner]
        assert (b"", done) == (released.owner, elsewhere.record)
        assert 0 < pool.freesize <= 4


def lent(server, **settings):
    return lambda: server.connect("used", **settings)


@pytest.mark.parametrize(
    ("settings", "mend"),
    [
        ({"charset": "gbk"}, "charset='utf8mb4'"),
        ({"sql_mode": "NO_BACKSLASH_ESCAPES"}, "Take that mode away"),
    ],
)
def test_a_connection_on_which_quoting_is_not_safe_is_refused(
    server, used_url, settings, mend
):
    store = MySQLStore(used_url, pool=lent(server, **settings))

    with pytest.raises(ConfigurationError, match=mend):
        store.find(ORDER)
    store.close()


def test_a_pool_that_gives_none_makes_the_store_unavailable(used_url):
    def nothing():
        raise RuntimeError("the pool is exhausted")

    store = MySQLStore(used_url, pool=nothing)

    with pytest.raises(StoreUnavailable, match="the pool is exhausted"):
        store.find(ORDER)
    store.close()


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_an_open_transaction_of_the_application_holds_up_nothing(
    server, used_url, level
):
    store = MySQLStore(used_url)
    store.claim(claim_of())
    with server.connect("used") as other, other.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS shop (id INT PRIMARY KEY)")
        cursor.execute("DELETE FROM shop")
        cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
        other.begin()
        cursor.execute("INSERT INTO shop VALUES (1)")
        cursor.execute("SELECT * FROM shop")

        renewed = [store.renew(ORDER, FIRST) for _ in range(3)]
        cursor.execute("INSERT INTO shop VALUES (2)")
        other.commit()
        done = store.complete(completion_of())

    assert None not in renewed
    assert done == record_in(store)
    assert completed(store) == done
    store.close()
