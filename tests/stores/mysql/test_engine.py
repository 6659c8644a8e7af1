# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""An engine of SQLAlchemy in place of a URL: the contract, and its connections after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.core.states import Status
from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_contract import StoreContract
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
    settlement_of,
)
from tests.servers.programs import free_port


@pytest.fixture
def clock():
    return FakeClock()


def taken(engine):
    """How many connections of its pool somebody has."""
    return engine.pool.status().rpartition("out connections: ")[2]


@pytest.fixture
def engine(used_url):
    engine = create_engine(used_url.replace("mysql:", "mysql+pymysql:"), pool_size=2)
    yield engine
    engine.dispose()


class TestMySQLStoreOverAnEngine(StoreContract):
    @pytest.fixture
    def store(self, clock, engine):
        store = MySQLStore(engine, clock=clock)
        yield store
        store.close()
        assert "0" == taken(engine)


class Disposing(AsyncMySQLStore):
    """Ends the engine on the loop that its connections are of."""

    def __init__(self, engine, clock):
        super().__init__(engine, clock=clock)
        self._engine = engine

    async def close(self):
        await super().close()
        await self._engine.dispose()


class TestAsyncMySQLStoreOverAnEngine(StoreContract):
    @pytest.fixture
    def store(self, clock, used_url):
        engine = create_async_engine(used_url.replace("mysql:", "mysql+asyncmy:"))
        store = StorePortal(Disposing(engine, clock))
        yield store
        store.close()
        assert "0" == taken(engine)


SETTINGS = (
    "SELECT @@SESSION.autocommit, @@SESSION.tx_isolation, @@SESSION.sql_mode, "
    "@@SESSION.innodb_lock_wait_timeout, @@SESSION.time_zone, @@in_transaction"
)


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_connections_come_back_as_they_were(used_url, level):
    url = used_url.replace("mysql:", "mysql+pymysql:")
    engine = create_engine(url, isolation_level=level, pool_size=1, max_overflow=0)
    with engine.connect() as connection:
        before = connection.execute(text(SETTINGS)).all()
    store = MySQLStore(engine, purge_every=None)

    completed(store)
    store.claim(claim_of(named("other")))
    store.renew(named("other"), FIRST)
    store.abandon(named("other"), FIRST, "crashed")
    store.settle(settlement_of(named("other")))
    store.purge()

    with engine.connect() as connection:
        assert before == connection.execute(text(SETTINGS)).all()
    store.close()
    engine.dispose()


def test_the_engine_makes_the_tables(server):
    url = server.database("fresh").replace("mysql:", "mysql+pymysql:")
    engine = create_engine(url)

    stores = [MySQLStore(engine) for _ in range(2)]

    assert completed(stores[0]) == record_in(stores[1])
    assert "0" == taken(engine)
    engine.dispose()


def test_a_session_of_the_engine_is_joined_while_it_holds_the_only_connection(used_url):
    url = used_url.replace("mysql:", "mysql+pymysql:")
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=5)
    store = MySQLStore(engine, purge_every=None)
    store.claim(claim_of())

    with Session(engine) as session, session.begin():
        done = store.joined(session).complete(completion_of())

    assert done == record_in(store)
    store.close()
    engine.dispose()


async def test_an_async_session_is_joined_while_it_holds_the_only_connection(used_url):
    url = used_url.replace("mysql:", "mysql+asyncmy:")
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=5)
    store = AsyncMySQLStore(engine, purge_every=None)
    await store.claim(claim_of())

    async with AsyncSession(engine) as session, session.begin():
        done = await store.joined(session).complete(completion_of())

    found = await store.find(ORDER)
    assert found is not None
    assert done == found.record
    await store.close()
    await engine.dispose()


def test_a_connection_that_broke_is_not_used_again(server, engine):
    store = MySQLStore(engine, purge_every=None)
    store.claim(claim_of())
    opened = []
    event.listen(engine, "connect", lambda *_: opened.append(1))

    for (number,) in server.ask(
        "SELECT id FROM information_schema.processlist WHERE db = 'used'"
    ):
        server.ask(f"KILL {number}")
    record = store.claim(claim_of()).record

    assert (FIRST, 1) == (record.owner, record.executions)
    assert 1 <= len(opened) <= 2
    store.close()


async def test_an_async_connection_that_broke_is_not_used_again(server, used_url):
    engine = create_async_engine(used_url.replace("mysql:", "mysql+asyncmy:"))
    store = AsyncMySQLStore(engine, purge_every=None)
    await store.claim(claim_of())

    for (number,) in server.ask(
        "SELECT id FROM information_schema.processlist WHERE db = 'used'"
    ):
        server.ask(f"KILL {number}")
    record = (await store.claim(claim_of())).record

    assert (FIRST, 1) == (record.owner, record.executions)
    assert "0" == taken(engine)
    await store.close()
    await engine.dispose()


def test_an_engine_without_a_free_connection_makes_the_store_unavailable(used_url):
    url = used_url.replace("mysql:", "mysql+pymysql:")
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    store = MySQLStore(engine, purge_every=None)

    with engine.connect(), pytest.raises(StoreUnavailable, match="gave no connection"):
        store.claim(claim_of())

    assert Status.IN_PROGRESS is store.claim(claim_of()).record.status
    store.close()
    engine.dispose()


async def test_an_async_engine_without_a_free_connection_says_so(used_url):
    url = used_url.replace("mysql:", "mysql+asyncmy:")
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    store = AsyncMySQLStore(engine, purge_every=None)

    async with engine.connect():
        with pytest.raises(StoreUnavailable, match="gave no connection"):
            await store.claim(claim_of())

    await store.close()
    await engine.dispose()


def test_what_leads_elsewhere_is_refused(used_url):
    plain = create_engine(used_url.replace("mysql:", "mysql+pymysql:"))
    looping = create_async_engine(used_url.replace("mysql:", "mysql+asyncmy:"))
    refused: list[tuple[Callable[[Any], Any], object, str]] = [
        (MySQLStore, object(), "a URL or of an Engine"),
        (MySQLStore, looping, "AsyncMySQLStore takes an AsyncEngine"),
        (MySQLStore, create_engine("sqlite://"), r"mysql\+pymysql"),
        (AsyncMySQLStore, object(), "a URL or of an AsyncEngine"),
        (AsyncMySQLStore, plain, "MySQLStore takes an Engine"),
    ]
    for kind, given, mend in refused:
        with pytest.raises(ConfigurationError, match=mend):
            kind(given)
    with pytest.raises(ConfigurationError, match="leave one of them out"):
        MySQLStore(plain, pool=plain.raw_connection)


@pytest.mark.parametrize(
    ("change", "error", "mend"),
    [
        ("missing", ConfigurationError, "no such database; make it"),
        ("port", StoreUnavailable, "nothing listens there; start it"),
    ],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_engine_that_leads_nowhere_is_told(server, change, error, mend, kind):
    url = server.url("missing" if change == "missing" else "used")
    if change == "port":
        url = url.replace(str(server.port), str(free_port()))

    with pytest.raises(error, match=mend):
        if kind == "sync":
            MySQLStore(create_engine(url.replace("mysql:", "mysql+pymysql:")))
        else:
            engine = create_async_engine(url.replace("mysql:", "mysql+asyncmy:"))
            AsyncMySQLStore(engine)
