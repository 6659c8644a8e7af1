# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A transaction that is somebody's own stays theirs: they end it, and they may undo it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from keyonce.core.errors import NotCommitted
from keyonce.core.model import Identity
from keyonce.core.states import Status
from keyonce.engine.aio_work import current_async_work
from keyonce.engine.work import current_work
from tests.exactly_once.shops import EXACT, AsyncShop, effect, rows

ORDER = Identity("functions", "order", "o-1")


def undone(shop, url, *, effect_first):
    """Place an order in a transaction of one's own, and undo that; tell what was seen."""
    seen = {}

    def place():
        with shop.connect() as connection:
            shop.begin(connection)
            with current_work().transaction(connection):
                if effect_first:
                    shop.run(connection, effect("o-1"))
                current_work().complete({"order": "o-1"})
            seen["open"] = shop.store.transaction(connection).is_open()
            shop.run(connection, effect("o-1"))
            seen["orders"] = rows(url, "o-1")
            shop.rollback(connection)

    async def place_async():
        async with shop.connect() as connection:
            await shop.begin(connection)
            async with current_async_work().transaction(connection):
                if effect_first:
                    await shop.run(connection, effect("o-1"))
                await current_async_work().complete({"order": "o-1"})
            seen["open"] = await shop.store.transaction(connection).is_open()
            await shop.run(connection, effect("o-1"))
            seen["orders"] = rows(url, "o-1")
            await shop.rollback(connection)

    of_a_loop = isinstance(shop, AsyncShop)
    once = shop.guard.once(
        "order", key=lambda: "o-1", fingerprint=lambda: "o-1", policy=EXACT
    )
    guarded = once(place_async if of_a_loop else place)
    with pytest.raises(NotCommitted):
        shop.runner.run(guarded()) if of_a_loop else guarded()
    return seen


def status_of(shop):
    found = shop.guard.find(ORDER)
    found = shop.runner.run(found) if isinstance(shop, AsyncShop) else found
    return found.record.status


@pytest.mark.parametrize("effect_first", [True, False])
def test_the_owner_of_a_transaction_undoes_effect_and_outcome(shop, url, effect_first):
    seen = undone(shop, url, effect_first=effect_first)

    assert {"open": True, "orders": 0} == seen
    assert 0 == rows(url, "o-1")
    assert Status.RELEASED is status_of(shop)
    assert {"order": "o-1"} == shop.order("o-1")
    assert 1 == rows(url, "o-1")


@pytest.mark.servers
@pytest.mark.parametrize("kind", ["AsyncSessionOnPostgres"])
def test_what_goes_past_a_session_outlives_its_rollback(shop, url):
    """Why the verbs go through SQLAlchemy's Core: it has begun nothing so far."""

    async def write():
        async with shop.connect() as session:
            await session.begin()
            pooled = await (await session.connection()).get_raw_connection()
            await pooled.driver_connection.execute(effect("past it"))
            await session.execute(text(effect("through it")))
            await session.rollback()

    shop.runner.run(write())

    assert (1, 0) == (rows(url, "past it"), rows(url, "through it"))
