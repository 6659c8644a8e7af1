# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The same seed makes the same storm, and every kind of trouble is in it."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from keyonce.demo.plan import Fault, Shape, Strike, plan


def test_the_same_seed_makes_the_same_storm():
    assert plan(7, 500) == plan(7, 500)


def test_another_seed_makes_another_storm():
    assert plan(7, 500) != plan(8, 500)


def test_a_storm_has_every_kind_of_trouble():
    storm = plan(1, 2000)

    assert set(Fault) == {operation.fault for operation in storm}
    assert set(Shape) == {operation.shape for operation in storm}
    assert {1, 2, 3, 4} == {operation.clients for operation in storm}
    assert {"/payments", "/bookings", "/mails"} == {one.path for one in storm}
    assert any(operation.work_for > 0.5 for operation in storm)


@pytest.mark.parametrize("operations", [50, 150, 2000])
def test_each_strike_comes_once(operations):
    strikes = Counter(one.strike for one in plan(1, operations) if one.strike)

    assert dict.fromkeys(Strike, 1) == strikes


def test_names_and_keys_are_never_shared():
    storm = plan(1, 2000)

    assert 2000 == len({one.name for one in storm}) == len({one.key for one in storm})


def test_an_impatient_client_leaves_before_the_shop_is_done():
    impatient = [one for one in plan(1, 2000) if one.fault is Fault.IMPATIENCE]

    assert impatient
    assert all(0 < one.fault_after < one.work_for for one in impatient)


def test_the_body_names_the_operation_and_not_the_key():
    operation = plan(1, 50)[0]

    body = json.loads(operation.body(5))

    assert (operation.name, 5) == (body["operation"], body["amount"])
    assert operation.key not in body.values()


def test_too_small_a_storm_is_refused():
    with pytest.raises(ValueError, match="at least 50"):
        plan(1, 49)
