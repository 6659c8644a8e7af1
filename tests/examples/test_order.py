# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Orders: whatever is killed, one order and one answer."""

from __future__ import annotations

import pytest

from tests.examples.programs import Request
from tests.examples.readmes import killed_at

POINTS = killed_at("order")

# Each order of its own quantity, so that the table tells them apart.
ORDERS = {
    point: Request(
        "POST", "/orders", {"item": "tea", "quantity": number}, f"order-{point}"
    )
    for number, point in enumerate(POINTS, 1)
}


@pytest.fixture(scope="module")
def told(examples):
    """Kill a worker of one shop at each point, then ask another; give its table too."""
    example = examples("order")
    example.kills(ORDERS)
    app = example.start()
    return app.tells(ORDERS), app.get("/shop")


@pytest.mark.parametrize("point", POINTS)
def test_a_retry_of_a_killed_order_finds_one_order(point, told):
    answers, shop = told
    first, *again = answers[point]
    quantity = ORDERS[point].body["quantity"]

    placed = [row for row in shop["orders"] if row[2] == quantity]

    assert [[first.json["order"], "tea", quantity]] == placed
    assert 201 == first.status
    assert [first.outcome] * 2 == [answer.outcome for answer in again]
    assert all(answer.replayed for answer in again)


def test_the_stock_has_gone_down_once_for_each_order(told):
    _, shop = told

    ordered = sum(order.body["quantity"] for order in ORDERS.values())

    assert 100 - ordered == shop["stock"]["tea"]
