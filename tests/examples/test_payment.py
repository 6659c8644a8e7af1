# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Payments: whatever dies, one charge, one refund, one answer."""

from __future__ import annotations

import pytest

from keyonce.stores.url import open_store
from tests.examples.programs import Request, wait_until
from tests.examples.readmes import killed_at

POINTS = killed_at("payment")
CAREFUL = killed_at("payment", "When the careful worker is killed")
REFUND = "give_back.after"


def payment(order: str) -> Request:
    return Request("POST", "/payments", {"order": order, "amount": 49}, f"pay-{order}")


@pytest.fixture(scope="module")
def paid(examples):
    """Kill workers at each point, then ask another; give what the provider has done."""
    example = examples("payment", PATIENCE="30")
    provider = example.start("provider.py")
    app = example.start()
    charged = app.send(payment("returned")).json["charge"]
    requests = {point: payment(point) for point in POINTS}
    requests[REFUND] = Request("POST", f"/payments/{charged}/refunds", {}, "back")
    example.kills(requests)
    return app.tells(requests), provider.get("/ledger"), app.get("/books")


@pytest.mark.parametrize("point", POINTS)
def test_a_retry_of_a_killed_payment_finds_one_effect(point, paid):
    answers, ledger, books = paid
    first, *again = answers[point]
    done = first.json["refund" if point == REFUND else "charge"]

    effects = [each["id"] for each in ledger if about(each, first.json)]
    booked = [line for line in books if line.endswith(f" by {done}")]

    assert 201 == first.status
    assert [done] == effects
    assert 1 == len(booked)
    assert [first.outcome] * 2 == [answer.outcome for answer in again]
    assert all(answer.replayed for answer in again)


def about(effect, answer):
    """Whether *effect* is what *answer* speaks of."""
    if "refund" in answer:
        return effect.get("charge") == answer["charge"]
    return effect.get("order") == answer["order"]


@pytest.fixture(scope="module")
def careful(examples):
    """The same for the other program; give the keys that were unknown, too."""
    example = examples("payment")
    provider = example.start("provider.py")
    payments = {point: payment(point) for point in CAREFUL}
    example.kills(payments, file="careful.py", PATIENCE="30")
    app = example.start("careful.py")
    return app.tells(payments), provider.get("/ledger"), audits(example.folder)


@pytest.mark.parametrize(
    ("point", "settled"),
    [*zip(CAREFUL, (["release"], ["resolve"], []), strict=True)],
)
def test_of_a_killed_careful_payment_the_provider_is_asked(point, settled, careful):
    answers, ledger, audited = careful
    first, *again = answers[point]

    charges = [each["id"] for each in ledger if each["order"] == point]

    assert (201, [first.json["charge"]]) == (first.status, charges)
    assert [first.outcome] * 2 == [answer.outcome for answer in again]
    assert [("reconcile", word) for word in settled] == audited.get(f"pay-{point}", [])


@pytest.mark.parametrize("end", ["die", "hang"])
def test_a_provider_that_acts_and_is_silent_charges_once(end, examples):
    example = examples("payment")
    provider = example.start("provider.py")
    app = example.start()
    told(provider, end)

    silent = app.send(payment("lamp"))
    if end == "die":
        provider.ends()
        provider = example.start("provider.py")
    answers = [app.settled(payment("lamp")) for _ in range(2)]

    assert 503 == silent.status
    assert [201, 201] == [answer.status for answer in answers]
    assert answers[0].outcome == answers[1].outcome
    assert [answers[0].json["charge"]] == [each["id"] for each in provider.get("/")]


@pytest.mark.parametrize("end", ["die", "hang"])
def test_a_careful_payment_is_found_out_without_anybody_coming_back(end, examples):
    example = examples("payment")
    provider = example.start("provider.py")
    app = example.start("careful.py")
    told(provider, end)

    unclear = app.send(payment("vase"))
    if end == "die":
        provider.ends()
        provider = example.start("provider.py")
    wait_until(lambda: "pay-vase" in audits(example.folder))
    answers = [app.send(payment("vase")) for _ in range(2)]

    assert (500, "outcome-unknown", True) == (
        unclear.status,
        unclear.code,
        unclear.json["retryable"],
    )
    assert {"pay-vase": [("reconcile", "resolve")]} == audits(example.folder)
    assert [(201, True)] * 2 == [(each.status, each.replayed) for each in answers]
    assert answers[0].outcome == answers[1].outcome
    assert [answers[0].json["charge"]] == [each["id"] for each in provider.get("/")]


def told(provider, end):
    provider.send(Request("POST", "/mood", {"next": end}))


def audits(folder):
    """What was decided about each key, by whom."""
    store = open_store(f"sqlite:///{folder}/careful.db")
    try:
        found: dict[str, list[tuple[str, str]]] = {}
        for row in store.audits():
            found.setdefault(row.identity.key, []).append((row.actor, row.action))
        return found
    finally:
        store.close()
