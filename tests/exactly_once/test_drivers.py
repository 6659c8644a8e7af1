# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Effect and outcome commit together over each driver, or neither does."""

from __future__ import annotations

import pytest

from keyonce.core.errors import NotCommitted
from keyonce.core.model import Identity
from keyonce.core.states import Status
from tests.exactly_once.shops import FORMS, POINTS, orders


class Trouble(Exception):
    """Something of the shop's own."""


def troubled(point):
    def at(now):
        if now == point:
            raise Trouble(now)

    return at


def status_of(shop):
    found = shop.guard.find(Identity("functions", "order", "o-1"))
    found = shop.runner.run(found) if hasattr(shop, "runner") else found
    return found.record.status


@pytest.mark.parametrize("form", FORMS)
def test_an_order_is_placed_once(shop, url, form):
    first = shop.order("o-1", form)
    again = shop.order("o-1", form)

    assert {"order": "o-1"} == first == again
    assert (1, 1) == (shop.runs, orders(url, "o-1"))
    assert Status.COMPLETED is status_of(shop)


@pytest.mark.parametrize("form", FORMS)
def test_what_raises_before_the_commit_leaves_nothing(shop, url, form):
    for point in POINTS[1:4]:
        with pytest.raises(Trouble):
            shop.order("o-1", form, troubled(point))
        assert 0 == orders(url, "o-1")
        assert Status.RELEASED is status_of(shop)

    assert {"order": "o-1"} == shop.order("o-1", form)
    assert 1 == orders(url, "o-1")


@pytest.mark.parametrize("form", FORMS[1:])
def test_what_raises_after_the_commit_frees_nothing(shop, url, form):
    with pytest.raises(Trouble):
        shop.order("o-1", form, troubled("committed"))

    assert {"order": "o-1"} == shop.order("o-1", form)
    assert (1, 1) == (shop.runs, orders(url, "o-1"))


def test_what_its_owner_does_not_commit_is_an_error(shop, url, monkeypatch):
    async def none_async(_connection):
        return None

    none = none_async if hasattr(shop, "runner") else lambda _connection: None
    monkeypatch.setattr(shop, "commit", none)
    with pytest.raises(NotCommitted):
        shop.order("o-1", FORMS[2])
    monkeypatch.undo()

    assert {"order": "o-1"} == shop.order("o-1", FORMS[2])
    assert 1 == orders(url, "o-1")
