# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Guarded functions whose result is built from a reference, each time anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from keyonce import (
    AsyncGuard,
    ConfigurationError,
    Guarantee,
    Guard,
    Policy,
    ResultNotKept,
    current_async_work,
    current_work,
)
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore

EXACT = Policy(guarantee=Guarantee.EXACTLY_ONCE)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (name TEXT)")
    return path


def orders(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM orders").fetchone()[0]


@pytest.fixture
def guard(path):
    store = SQLiteStore(path)
    guard = Guard(store)
    yield guard
    guard.close()
    store.close()


@pytest.fixture
def connect(path):
    return lambda: closing(sqlite3.connect(path))


def placing(guard, connect, rebuild):
    """Give a function that keeps the reference of its order alone."""

    @guard.once("order", key=lambda name: name, policy=EXACT, rebuild=rebuild)
    def place(name):
        with connect() as connection, current_work().transaction(connection):
            connection.execute("INSERT INTO orders VALUES (?)", (name,))
            current_work().complete(reference=f"order {name}")

    return place


def test_every_call_gets_what_is_built(guard, connect, path):
    place = placing(guard, connect, str.upper)

    assert ["ORDER TEA", "ORDER TEA"] == [place("tea"), place("tea")]
    assert 1 == orders(path)


def test_a_failure_to_build_frees_nothing(guard, connect, path):
    broken = [True, True, False]

    def build(reference):
        if broken.pop(0):
            raise OSError("later")
        return reference

    place = placing(guard, connect, build)

    for _ in range(2):
        with pytest.raises(ResultNotKept, match="could not be built"):
            place("tea")
    assert "order tea" == place("tea")
    assert 1 == orders(path)


def test_nobody_to_build_is_an_error_before_the_commit(guard, connect, path):
    with pytest.raises(ConfigurationError, match="rebuild"):
        placing(guard, connect, None)("tea")

    assert 0 == orders(path)


def test_where_nobody_builds_any_more_it_was_not_kept(guard, connect, path):
    placing(guard, connect, str.upper)("tea")

    with pytest.raises(ResultNotKept):
        placing(guard, connect, None)("tea")

    assert 1 == orders(path)


def test_a_given_connection_goes_with_it(guard, connect, path):
    @guard.once(
        "order",
        key=lambda name: name,
        policy=EXACT,
        connection=connect,
        rebuild=str.upper,
    )
    def place(connection, name):
        assert connection is current_work().connection
        connection.execute("INSERT INTO orders VALUES (?)", (name,))
        current_work().complete(reference=name)

    assert ["TEA", "TEA"] == [place("tea"), place("tea")]
    assert 1 == orders(path)


def test_it_is_refused_where_it_is_for_nothing(guard):
    async def build(reference):
        return reference

    def place(name):
        return name

    with pytest.raises(ConfigurationError, match="at-most-once"):
        guard.once("order", key=str, rebuild=str.upper)(place)
    with pytest.raises(ConfigurationError, match="coroutine"):
        guard.once("order", key=str, policy=EXACT, rebuild=build)(place)
    with pytest.raises(ConfigurationError, match="a function that makes"):
        guard.once("order", key=str, policy=EXACT, rebuild="order")(place)


def test_complete_wants_something(guard, connect, path):
    @guard.once("order", key=lambda name: name, policy=EXACT)
    def place(name):
        with connect() as connection, current_work().transaction(connection):
            current_work().complete()

    with pytest.raises(ConfigurationError, match="given nothing"):
        place("tea")


def test_there_is_no_connection_outside_a_transaction(guard):
    @guard.once("order", key=lambda name: name, policy=EXACT)
    def place(name):
        return current_work().connection

    with pytest.raises(ConfigurationError, match="No transaction is open"):
        place("tea")


@pytest.mark.parametrize("on_loop", [True, False])
async def test_it_is_the_same_on_an_event_loop(path, connect, on_loop):
    async def coroutine(reference):
        return reference.upper()

    store = AsyncSQLiteStore(path)
    guard = AsyncGuard(store)
    rebuild = coroutine if on_loop else str.upper

    @guard.once("order", key=lambda name: name, policy=EXACT, rebuild=rebuild)
    async def place(name):
        work = current_async_work()
        with connect() as connection:
            async with work.transaction(connection):
                connection.execute("INSERT INTO orders VALUES (?)", (name,))
                await work.complete(reference=f"order {name}")

    assert ["ORDER TEA", "ORDER TEA"] == [await place("tea"), await place("tea")]
    assert 1 == orders(path)
    await guard.close()
    await store.close()
