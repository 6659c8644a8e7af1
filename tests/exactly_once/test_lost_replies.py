# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The connection is cut at COMMIT: what the guard says of it is true."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from keyonce.core.errors import IdempotencyError
from keyonce.core.model import Identity
from keyonce.core.states import Status
from tests.exactly_once.shops import FORMS, KINDS, ON_MARIADB, ON_POSTGRES, orders
from tests.servers.relay import Relay

SERVED = [
    pytest.param(name, marks=pytest.mark.servers)
    for name, kind in KINDS.items()
    if kind in (*ON_POSTGRES, *ON_MARIADB)
]


@pytest.fixture
def relay(url):
    relay = Relay(urlsplit(url).port)
    yield relay
    relay.close()


@pytest.fixture
def far(kind, url, relay):
    """A shop whose store is near, and whose own connections go through the relay."""
    shop = KINDS[kind](url)
    direct = urlsplit(url)
    shop.url = direct._replace(
        netloc=direct.netloc.replace(str(direct.port), str(relay.port))
    ).geturl()
    yield shop
    shop.close()


def status_of(shop):
    found = shop.guard.find(Identity("functions", "order", "o-1"))
    found = shop.runner.run(found) if hasattr(shop, "runner") else found
    return found.record.status


@pytest.mark.parametrize("kind", SERVED)
@pytest.mark.parametrize("form", FORMS[:2])
def test_a_commit_that_was_carried_out_counts(far, url, relay, form):
    def at(point):
        if point == "completed":
            relay.cut_next_reply()

    assert {"order": "o-1"} == far.order("o-1", form, at)

    assert (0, 1) == (relay.cut, orders(url, "o-1"))
    assert Status.COMPLETED is status_of(far)
    assert {"order": "o-1"} == far.order("o-1", form)
    assert (1, 1) == (far.runs, orders(url, "o-1"))


@pytest.mark.parametrize("kind", SERVED)
@pytest.mark.parametrize("form", FORMS[:2])
def test_a_commit_that_never_arrived_frees_the_key(far, url, relay, form):
    def at(point):
        if point == "completed":
            relay.lose_next_question()

    with pytest.raises(Exception) as raised:
        far.order("o-1", form, at)

    assert not isinstance(raised.value, IdempotencyError)
    assert (0, 0) == (relay.lost, orders(url, "o-1"))
    assert Status.RELEASED is status_of(far)
    assert {"order": "o-1"} == far.order("o-1", form)
    assert (2, 1) == (far.runs, orders(url, "o-1"))


@pytest.mark.parametrize("kind", SERVED)
def test_the_owners_lost_commit_that_was_carried_out_counts(far, url, relay):
    def at(point):
        if point == "completed":
            relay.cut_next_reply()

    with pytest.raises(Exception) as raised:
        far.order("o-1", FORMS[2], at)

    assert not isinstance(raised.value, IdempotencyError)
    assert Status.COMPLETED is status_of(far)
    assert {"order": "o-1"} == far.order("o-1", FORMS[2])
    assert (1, 1) == (far.runs, orders(url, "o-1"))


@pytest.mark.parametrize("kind", SERVED)
def test_the_owners_commit_that_never_arrived_leaves_nothing(far, url, relay):
    def at(point):
        if point == "completed":
            relay.lose_next_question()

    with pytest.raises(Exception) as raised:
        far.order("o-1", FORMS[2], at)

    assert not isinstance(raised.value, IdempotencyError)
    assert Status.RELEASED is status_of(far)
    assert {"order": "o-1"} == far.order("o-1", FORMS[2])
    assert (2, 1) == (far.runs, orders(url, "o-1"))
