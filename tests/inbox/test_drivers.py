# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Messages handled over each driver, in a transaction of the inbox's or the caller's."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from keyonce.core.errors import DeliveryInProgress
from keyonce.inbox.aio import AsyncInbox
from keyonce.inbox.sync import Inbox
from tests.exactly_once.conftest import (  # noqa: F401 - fixtures
    kind,
    mariadb_server,
    postgres_server,
    shop,
    url,
)
from tests.exactly_once.shops import AsyncShop, effect, rows

PATIENCE = 30
FORMS = ("ours", "theirs")


class Trouble(Exception):
    """Something of the consumer's own."""


def settings():
    return {"consumer": "billing", "retention": timedelta(days=1), "max_executions": 99}


@pytest.fixture
def deliver(shop):  # noqa: F811 - a fixture
    """Deliver "m1" once in one form; raise inside where it is to fail."""
    inbox_of: Any = AsyncInbox if isinstance(shop, AsyncShop) else Inbox
    inbox = inbox_of(shop.store, **settings())

    def sync(form, *, fails=False):
        with shop.connect() as connection:
            if form == "theirs":
                begin(connection)
            with inbox.receive("m1", connection=connection) as delivery:
                if delivery.first:
                    shop.run(connection, effect("m1"))
                if fails:
                    raise Trouble
            if form == "theirs":
                shop.commit(connection)
            return delivery.first

    def begin(connection):
        # The claim commits by itself, so SQLite's file must be free until then.
        deferred = shop.url.startswith("sqlite") and hasattr(
            connection, "executescript"
        )
        if deferred:
            connection.execute("BEGIN")
        else:
            shop.begin(connection)

    async def aio(form, fails):
        async with shop.connect() as connection:
            if form == "theirs" and shop.url.startswith("sqlite"):
                connection.execute("BEGIN")
            elif form == "theirs":
                await shop.begin(connection)
            async with inbox.receive("m1", connection=connection) as delivery:
                if delivery.first:
                    await shop.run(connection, effect("m1"))
                if fails:
                    raise Trouble
            if form == "theirs":
                await shop.commit(connection)
            return delivery.first

    if isinstance(shop, AsyncShop):
        yield lambda form, *, fails=False: shop.runner.run(aio(form, fails))
        shop.runner.run(inbox.close())
    else:
        yield sync
        inbox.close()


def soon(deliver, form):
    """Redeliver until the inbox takes the message, as a broker does."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return deliver(form)
        except DeliveryInProgress:
            assert time.monotonic() < until


@pytest.mark.parametrize("form", FORMS)
def test_a_message_is_handled_once(deliver, form, url):  # noqa: F811
    assert [True, False] == [deliver(form), deliver(form)]
    assert 1 == rows(url, "m1")


@pytest.mark.parametrize("form", FORMS)
def test_a_message_whose_work_failed_is_handled_by_a_redelivery(
    deliver,
    form,
    url,  # noqa: F811
):
    with pytest.raises(Trouble):
        deliver(form, fails=True)
    assert 0 == rows(url, "m1")

    assert soon(deliver, form)

    assert not deliver(form)
    assert 1 == rows(url, "m1")
