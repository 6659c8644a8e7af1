# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What is given in the wrong place is refused in words, where it was given."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from keyonce import (
    AsyncGuard,
    AsyncInbox,
    Guarantee,
    Guard,
    Inbox,
    MemoryStore,
    Policy,
    Rule,
    current_async_work,
    current_work,
)
from keyonce.core.errors import ConfigurationError, OutcomeUnknown
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore

EXACT = Policy(guarantee=Guarantee.EXACTLY_ONCE)
DAY = timedelta(days=1)


@pytest.fixture
def guard():
    return Guard(MemoryStore())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"name": ""}, "name of an operation is a text"),
        ({"name": None}, "name of an operation is a text"),
        ({"policy": "resume"}, "policy is a Policy"),
        ({"key": "order"}, "key is a function of the arguments"),
        ({"scope": 5}, "scope is a text or a function"),
        ({"fingerprint": "order"}, "fingerprint is a function"),
    ],
)
def test_a_setting_of_once(guard, settings, says):
    given = {"name": "pay", "key": lambda order: order} | settings
    with pytest.raises(ConfigurationError, match=says):
        guard.once(**given)(lambda order: order)


def test_a_call_with_other_arguments_names_the_operation(guard):
    @guard.once("pay", key=lambda order: order)
    def pay(order):
        return order

    with pytest.raises(TypeError, match=r"'pay', \(order\): missing a required"):
        pay()


@pytest.mark.parametrize("kind", [Guard, AsyncGuard])
def test_a_url_is_no_store(kind):
    with pytest.raises(ConfigurationError, match="not a text: such as"):
        kind("sqlite:///keyonce.db")


def test_a_store_of_the_other_world():
    store: Any = MemoryStore()
    with pytest.raises(ConfigurationError, match="not a MemoryStore"):
        AsyncGuard(store)
    with pytest.raises(ConfigurationError, match="not a MemoryStore"):
        AsyncInbox(store, consumer="mail", retention=DAY)


def test_a_batch_of_one_text():
    inbox = Inbox(MemoryStore(), consumer="mail", retention=DAY)
    with (
        pytest.raises(ConfigurationError, match="takes a list of messages"),
        inbox.receive_many("m1"),
    ):
        pass


def test_a_rule():
    resume: Any = "resume"
    five: Any = 5
    with pytest.raises(ConfigurationError, match="its policy is a Policy"):
        Rule("POST /payments", resume)
    with pytest.raises(ConfigurationError, match="match is a text"):
        Rule(five)


@pytest.mark.parametrize("segment", ["<id>", "<int:id>", "{rest:path}"])
def test_a_segment_as_a_router_writes_it(segment):
    with pytest.raises(ConfigurationError, match="router's way of writing"):
        Rule(f"POST /orders/{segment}")


@pytest.fixture
def shop(tmp_path):
    file = tmp_path / "shop.db"
    with closing(SQLiteStore(file)) as store:
        yield Guard(store), lambda: closing(sqlite3.connect(file))


def test_who_commits_inside_the_block_hears_so(shop):
    guard, connect = shop

    @guard.once("order", key=lambda name: name, policy=EXACT, connection=connect)
    def order(connection, name):
        with connection:
            connection.execute("CREATE TABLE orders (name TEXT)")
        return name

    with pytest.raises(ConfigurationError, match="ended inside its block"):
        order("lamp")


def test_who_commits_inside_and_completes_nothing_hears_so(shop):
    guard, connect = shop

    @guard.once("order", key=lambda name: name, policy=EXACT)
    def order(_name):
        with connect() as connection, current_work().transaction(connection):
            connection.execute("CREATE TABLE orders (name TEXT)")
            connection.commit()

    with pytest.raises(ConfigurationError, match="ended inside its block"):
        order("lamp")
    with pytest.raises(OutcomeUnknown):  # and not done again
        order("lamp")


async def test_who_commits_inside_on_a_loop_hears_so(tmp_path):
    file = tmp_path / "shop.db"
    store = AsyncSQLiteStore(file)
    guard = AsyncGuard(store)

    @guard.once("order", key=str, policy=EXACT)
    async def order(name):
        work = current_async_work()
        with closing(sqlite3.connect(file)) as connection:
            async with work.transaction(connection):
                connection.execute("CREATE TABLE IF NOT EXISTS orders (name TEXT)")
                connection.commit()
                if name == "lamp":
                    await work.complete(name)

    with pytest.raises(ConfigurationError, match="ended inside its block"):
        await order("lamp")
    with pytest.raises(ConfigurationError, match="ended inside its block"):
        await order("vase")
    await store.close()
