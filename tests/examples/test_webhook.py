# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Webhooks: however often one is delivered and whatever is killed, one payment."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import pytest

from tests.examples.programs import EXAMPLES, WITHIN, Answer, Program, Request
from tests.examples.readmes import killed_at

POINTS = [point for point in killed_at("webhook") if point != "bury.after"]
AGAIN = (500, 503)


@pytest.fixture(scope="module")
def provider() -> Any:
    """The provider's side of the example, as a module."""
    spec = spec_from_file_location("provider", EXAMPLES / "webhook/send.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def webhook(provider):
    """Make a signed webhook that says of an invoice that it is paid."""

    def make(
        message_id: str, invoice: str, cents: int | None = 100, age: int = 0
    ) -> Request:
        body = {"invoice": invoice, "cents": cents}
        sent_at = int(time.time()) - age
        headers = provider.headers(message_id, sent_at, json.dumps(body).encode())
        return Request("POST", "/webhooks", body, headers=tuple(headers.items()))

    return make


def delivers(app: Program, request: Request) -> Answer:
    """Deliver as a provider does: again, until it is acknowledged."""
    until = time.monotonic() + WITHIN
    while (answer := app.send(request)).status in AGAIN:
        assert time.monotonic() < until, answer
        time.sleep(0.1)
    return answer


@pytest.fixture(scope="module")
def app(examples, webhook):
    """Kill a worker at each point, then start another."""
    example = examples("webhook")
    example.start().send(webhook("buried", "buried"))
    example.killed("bury.after", webhook("buried", "buried", 999))
    example.kills({point: webhook(point, point) for point in POINTS})
    return example.start()


def payments(app: Program, invoice: str) -> list[Any]:
    return [row for row in app.get("/books")["payments"] if row[0] == invoice]


def dead_letters(app: Program, message_id: str) -> list[Any]:
    return [row for row in app.get("/books")["dead_letters"] if row[0] == message_id]


@pytest.mark.parametrize("point", POINTS)
def test_a_redelivery_to_the_next_worker_leaves_one_payment(app, webhook, point):
    answers = [delivers(app, webhook(point, point)) for _ in range(3)]

    assert [200] * 3 == [answer.status for answer in answers]
    duplicates = [answer.json["duplicate"] for answer in answers]
    assert [point == "receive.after", True, True] == duplicates
    assert [[point, 100]] == payments(app, point)


def test_a_worker_killed_over_a_dead_letter_leaves_one(app, webhook):
    answer = delivers(app, webhook("buried", "buried", 999))

    assert {"dead_letter": "key-reused"} == answer.json
    assert [["buried", "key-reused"]] == dead_letters(app, "buried")
    assert [["buried", 100]] == payments(app, "buried")


def test_twenty_deliveries_at_once_leave_one_payment(app, webhook):
    request = webhook("storm", "storm")

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: delivers(app, request), range(20)))

    told = [answer.json["duplicate"] for answer in answers]
    assert [False] + [True] * 19 == sorted(told)
    assert [["storm", 100]] == payments(app, "storm")


def test_a_reused_id_is_put_aside_and_not_booked(app, webhook):
    delivers(app, webhook("reused", "reused", 100))

    told = [delivers(app, webhook("reused", "reused", 999)) for _ in range(2)]

    assert [(200, {"dead_letter": "key-reused"})] * 2 == [
        (answer.status, answer.json) for answer in told
    ]
    assert [["reused", "key-reused"]] == dead_letters(app, "reused")
    assert [["reused", 100]] == payments(app, "reused")


def test_a_webhook_that_fails_again_and_again_is_put_aside(app, webhook):
    poison = webhook("poison", "poison", cents=None)

    answer = delivers(app, poison)

    assert {"dead_letter": "dead"} == answer.json
    assert [["poison", "dead"]] == dead_letters(app, "poison")
    assert [] == payments(app, "poison")


def test_a_forgery_is_refused_and_does_not_use_up_the_id(app, webhook):
    genuine = webhook("forged", "forged")
    forgeries = [
        genuine._replace(body={"invoice": "forged", "cents": 999}),
        genuine._replace(headers=()),
        webhook("forged", "forged", age=3600),
        webhook("another", "forged")._replace(
            headers=tuple((dict(genuine.headers) | {"webhook-id": "another"}).items())
        ),
    ]

    refused = [app.send(forgery).status for forgery in forgeries]
    booked = app.send(genuine)

    assert [401] * 4 == refused
    assert (200, False) == (booked.status, booked.json["duplicate"])
    assert [["forged", 100]] == payments(app, "forged")


def test_one_of_several_signatures_is_enough(app, webhook):
    request = webhook("rotated", "rotated")
    signed = dict(request.headers)
    signed["webhook-signature"] = f"v1a,AAAA v1,AAAA {signed['webhook-signature']}"

    answer = app.send(request._replace(headers=tuple(signed.items())))

    assert 200 == answer.status


def test_the_provider_signs_as_the_specification_does(monkeypatch, provider):
    monkeypatch.setattr(provider, "SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    headers = provider.headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )

    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert expected == headers["webhook-signature"]
