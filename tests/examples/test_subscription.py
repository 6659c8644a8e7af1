# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Changes of plan: whatever is killed, one change, and one request under a key."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from tests.examples.programs import Request
from tests.examples.readmes import killed_at

POINTS = killed_at("subscription")


def change(subscription: str, plan: str, *, sent_at: str = "09:00") -> Request:
    body = {"plan": plan, "period": "2027-05", "sent_at": sent_at}
    path = f"/subscriptions/{subscription}"
    return Request("PATCH", path, body, f"{subscription}:2027-05")


@pytest.fixture(scope="module")
def office(examples):
    return examples("subscription")


@pytest.fixture(scope="module")
def app(office):
    return office.start()


@pytest.fixture(scope="module")
def told(office, app):
    """Kill a worker at each point, each on its way to a change; then ask another."""
    changes = {point: change(point, "pro") for point in POINTS}
    office.kills(changes)
    return app.tells(changes)


def changes(app, subscription):
    return [row[1:] for row in app.get("/changes") if row[0] == subscription]


@pytest.mark.parametrize("point", POINTS)
def test_a_retry_of_a_killed_change_finds_one_change(point, told, app):
    first, *again = told[point]

    assert (200, {"was": "basic", "plan": "pro", "more_each_month": 7}) == (
        first.status,
        first.json,
    )
    assert [["2027-05", "basic", "pro"]] == changes(app, point)
    assert [first.outcome] * 2 == [answer.outcome for answer in again]
    assert all(answer.replayed for answer in again)


def test_a_retry_may_say_another_time_but_no_other_plan(app):
    first = app.send(change("sub-1", "team"))
    later = app.send(change("sub-1", "team", sent_at="09:01"))
    other = app.send(change("sub-1", "pro"))

    assert (first.outcome, True) == (later.outcome, later.replayed)
    assert (422, "key-reused", ["/plan"]) == (
        other.status,
        other.code,
        other.json["fields"],
    )
    assert [["2027-05", "basic", "team"]] == changes(app, "sub-1")


def test_the_answer_is_kept_for_an_hour(app):
    answer = app.send(change("sub-2", "team"))

    at, until = (
        parsedate_to_datetime(answer.header(name) or "")
        for name in ("date", "idempotency-expires")
    )

    assert 3500 < (until - at).total_seconds() <= 3601
