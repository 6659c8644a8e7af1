# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What cannot be kept is refused over every driver, and nothing of it stays."""

from __future__ import annotations

import pytest

from keyonce.core.errors import ConfigurationError, NotCommitted, ResultNotEncodable
from keyonce.core.model import Identity
from keyonce.core.states import Status
from keyonce.engine.aio_work import current_async_work
from keyonce.engine.work import current_work
from tests.exactly_once.rounds import on_disk
from tests.exactly_once.shops import (
    EXACT,
    FORMS,
    KINDS,
    ON_MARIADB,
    ON_POSTGRES,
    TABLE,
    AsyncShop,
    ask,
    orders,
)


@pytest.fixture
def other(request, kind, tmp_path):
    """Another database, with a table of the same name."""
    if KINDS[kind] in ON_POSTGRES:
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.new_database())
    elif KINDS[kind] in ON_MARIADB:
        url = request.getfixturevalue("mariadb_server").database("elsewhere")
    else:
        url = on_disk(tmp_path / "elsewhere.db")
    ask(url, TABLE)
    return url


def work_of(shop):
    return current_async_work() if isinstance(shop, AsyncShop) else current_work()


def doing(shop, point, do):
    """Do *do* at *point*, with the work and the connection."""

    def at(now):
        return [lambda connection: do(work_of(shop), connection)] * (now == point)

    return at


def refused(shop, url, *raises, form=FORMS[0], at):
    """See that an order is refused, leaves nothing, and is placed when it is right."""
    with pytest.raises(raises[0], match=raises[1]):
        shop.order("o-1", form, at)

    assert [] == ask(url, "SELECT * FROM orders")
    found = shop.guard.find(Identity("functions", "order", "o-1"))
    found = shop.runner.run(found) if isinstance(shop, AsyncShop) else found
    assert Status.RELEASED is found.record.status


def placed(shop, url, form=FORMS[0]):
    assert {"order": "o-1"} == shop.order("o-1", form)
    assert 1 == orders(url, "o-1")


@pytest.mark.parametrize("form", FORMS)
def test_a_transaction_on_another_database(shop, url, other, form):
    elsewhere = KINDS[type(shop).__name__](other)
    mine, shop.connect = shop.connect, elsewhere.connect
    said = "database|store's"

    refused(shop, url, ConfigurationError, said, form=form, at=lambda _: None)

    assert [] == ask(other, "SELECT * FROM orders")
    elsewhere.close()
    shop.connect = mine
    placed(shop, url, form)


@pytest.mark.parametrize("form", FORMS)
def test_a_step_inside_a_transaction(shop, url, form):
    def charge() -> int:
        raise AssertionError

    at = doing(shop, "effects", lambda work, _: work.step("charge", charge))

    refused(
        shop, url, ConfigurationError, "'charge' was taken inside", form=form, at=at
    )

    placed(shop, url, form)


def entered(block):
    return block.__aenter__() if hasattr(block, "__aenter__") else block.__enter__()


@pytest.mark.parametrize("form", FORMS)
def test_a_second_transaction(shop, url, form):
    at = doing(shop, "effects", lambda work, on: entered(work.transaction(on)))

    refused(shop, url, ConfigurationError, "a transaction already", form=form, at=at)

    placed(shop, url, form)


def test_a_transaction_inside_a_step(shop, url):
    once = shop.guard.once("order", key=lambda: "o-1", policy=EXACT)

    def charge() -> None:
        with shop.connect() as connection, current_work().transaction(connection):
            raise AssertionError

    async def charge_async() -> None:
        async with shop.connect() as connection:
            async with current_async_work().transaction(connection):
                raise AssertionError

    async def place_async():
        await current_async_work().step("charge", charge_async)

    with pytest.raises(ConfigurationError, match="inside step 'charge'"):
        if isinstance(shop, AsyncShop):
            shop.runner.run(once(place_async)())
        else:
            once(lambda: current_work().step("charge", charge))()
    assert [] == ask(url, "SELECT * FROM orders")


@pytest.mark.parametrize("form", FORMS)
def test_a_result_that_cannot_be_encoded(shop, url, form):
    at = doing(shop, "effects", lambda work, _: work.complete(object()))

    refused(shop, url, ResultNotEncodable, "object", form=form, at=at)

    placed(shop, url, form)


def test_a_second_outcome(shop, url):
    at = doing(shop, "completed", lambda work, _: work.complete(2))

    refused(shop, url, ConfigurationError, "given already", at=at)

    placed(shop, url)


def test_no_outcome(shop, url):
    once = shop.guard.once("order", key=lambda: "o-1", policy=EXACT)
    insert = "INSERT INTO orders (name) VALUES ('o-1')"

    def place():
        with shop.connect() as connection, current_work().transaction(connection):
            shop.run(connection, insert)

    async def place_async():
        async with shop.connect() as connection:
            async with current_async_work().transaction(connection):
                await shop.run(connection, insert)

    with pytest.raises(NotCommitted, match="without an outcome"):
        if isinstance(shop, AsyncShop):
            shop.runner.run(once(place_async)())
        else:
            once(place)()
    assert [] == ask(url, "SELECT * FROM orders")
