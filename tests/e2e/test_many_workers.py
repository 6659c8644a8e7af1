# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Two workers of uvicorn over one server: equal requests are one sale."""

from __future__ import annotations

import http.client
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integrations.servers import UVICORN, serving

pytestmark = pytest.mark.servers

SENDERS = 4
EACH = 250


def send_all(port, key, times):
    """Send *times* equal requests over one connection; count the answers."""
    answers: Counter[tuple[int, bytes]] = Counter()
    headers = {"Idempotency-Key": key, "X-Api-Key": "me"}
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(times):
        line.request("POST", "/orders", b'{"sku": "tea"}', headers)
        reply = line.getresponse()
        answers[reply.status, reply.read()] += 1
    line.close()
    return answers


def worker_of(port):
    """Who answers a connection of its own."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    line.request("GET", "/")
    told = line.getresponse().read()
    line.close()
    return told


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_a_thousand_equal_requests_are_one_sale_and_one_answer(kind, request, tmp_path):
    _, url = request.getfixturevalue(kind)
    sales = tmp_path / "sales"
    environment = {**os.environ, "SHOP_STORE": url, "SHOP_SALES": str(sales)}
    command = (*UVICORN, "--workers", "2", "tests.e2e.asgi_shop:app")
    with serving(command, tmp_path / "log", environment=environment) as caller:
        port = caller._address[1]
        seen: set[bytes] = set()
        while len(seen) < 2:  # both are up
            seen.add(worker_of(port))
        with ThreadPoolExecutor(SENDERS) as senders:
            counts = list(
                senders.map(lambda _: send_all(port, "tea-1", EACH), range(SENDERS))
            )

    answers: Counter[tuple[int, bytes]] = sum(counts, Counter())
    assert 1 == len(sales.read_text().splitlines())
    assert [SENDERS * EACH] == list(answers.values())
    assert {200} == {status for status, _ in answers}
