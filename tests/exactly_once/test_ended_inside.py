# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whoever ends the transaction inside the block is told no tales of a commit."""

from __future__ import annotations

from typing import Any

import pytest

from keyonce.core.errors import OutcomeUnknown
from keyonce.core.model import Identity
from keyonce.core.protocols import EndedInside
from keyonce.core.states import Status
from tests.exactly_once.conftest import kinds
from tests.exactly_once.shops import FORMS, AsyncShop, ask, effect, orders

OURS = FORMS[:2]
# Only SQLAlchemy tells one transaction from the next.
SESSIONS = [param for param in kinds() if "Session" in str(param.values[0])]


def at(place, *todo):
    def there(point):
        return todo * (point == place)

    return there


def outcome(shop, form, hook):
    """Give what the call gave, or the class of what it raised."""
    try:
        return shop.order("o-1", form, hook)
    except Exception as error:  # noqa: BLE001 - each driver has its own
        return type(error)


def status(shop):
    found: Any = shop.guard.find(Identity("functions", "order", "o-1"))
    found = shop.runner.run(found) if isinstance(shop, AsyncShop) else found
    return found.record.status


@pytest.mark.parametrize("form", OURS)
def test_a_rollback_after_the_outcome_is_no_success(shop, url, form):
    heard = outcome(shop, form, at("completed", shop.rollback))

    assert isinstance(heard, type)
    assert [] == ask(url, "SELECT * FROM orders")
    if heard is EndedInside:
        assert Status.UNKNOWN is status(shop)
    else:  # the driver refuses it, and all is undone
        assert Status.RELEASED is status(shop)


@pytest.mark.parametrize("kind", SESSIONS)
@pytest.mark.parametrize("form", OURS)
def test_what_follows_a_rollback_is_not_committed_by_itself(shop, url, form):
    heard = outcome(shop, form, at("completed", shop.rollback, effect("o-1")))

    assert heard is EndedInside
    assert [] == ask(url, "SELECT * FROM orders")
    assert Status.UNKNOWN is status(shop)


@pytest.mark.parametrize("form", OURS)
def test_a_commit_after_the_outcome_counts(shop, url, form):
    heard = outcome(shop, form, at("completed", shop.commit))

    if isinstance(heard, type):  # a driver that refuses it: all is undone
        assert [] == ask(url, "SELECT * FROM orders")
    assert {"order": "o-1"} == shop.order("o-1", form)
    assert 1 == orders(url, "o-1")


@pytest.mark.parametrize("form", OURS)
def test_after_a_commit_before_the_outcome_nothing_runs_again(shop, url, form):
    heard = outcome(shop, form, at("effects", shop.commit))

    if heard is EndedInside:
        with pytest.raises(OutcomeUnknown):
            shop.order("o-1", form)
    else:
        assert {"order": "o-1"} == shop.order("o-1", form)
    assert 1 == orders(url, "o-1")
