# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whole apps behind the ASGI gateway, under uvicorn, over real sockets."""

from __future__ import annotations

import gzip
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from keyonce.testing.integration_contract import Lab
from keyonce.testing.integration_scenarios.behaviours import pattern
from keyonce.testing.integration_scenarios.messages import Request
from tests.integrations.servers import UVICORN, serving

MIB = 1024 * 1024
IN_FLIGHT = 200


def told(caller, target):
    return caller.start(Request("GET", target)).reply().json()


@pytest.fixture
def shop(tmp_path):
    environment = {**os.environ, "SHOP_STORE": f"sqlite:///{tmp_path}/keyonce.db"}
    command = (*UVICORN, "tests.e2e.asgi_fastapi:app")
    with serving(command, tmp_path / "log", environment=environment) as caller:
        yield Lab(caller)


def test_a_fastapi_shop_sells_once(shop):
    request = shop.request("/orders", body=b'{"sku": "tea"}')
    first, second = shop.send(request), shop.send(request)
    invalid = shop.send(shop.request("/orders", body=b'{"sku": 1}'))
    unkeyed = shop.send(shop.request("/orders", key=None))

    assert (201, b'{"number":1}', False) == (first.status, first.body, first.replayed)
    assert first.lasting() == second.lasting()
    assert ("yes", True) == (second.header("x-passed"), second.replayed)
    assert (422, 400) == (invalid.status, unkeyed.status)
    assert "missing-key" == unkeyed.code
    assert ["sold tea", "mailed tea"] == told(shop.caller, "/done")


def test_an_answer_is_compressed_outside_of_what_is_kept(shop):
    request = shop.request("/reports", headers=[("Accept-Encoding", "gzip")])
    plain = Request(request.method, request.target, request.headers[:-1], request.body)

    replies = [shop.send(r) for r in (request, request, plain)]

    bodies = [gzip.decompress(r.body) for r in replies[:2]] + [replies[2].body]
    assert 1 == len(set(bodies))
    assert [False, True, True] == [reply.replayed for reply in replies]
    assert ["reported"] == told(shop.caller, "/done")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_large_requests_in_flight_wait_in_files(tmp_path):
    body = pattern(10 * MIB)
    command = (*UVICORN, "tests.e2e.asgi_sink:app")
    with serving(command, tmp_path / "log") as caller:
        lab = Lab(caller)
        before = told(caller, "/")["peak"]
        requests = [lab.request("/in", body=body) for _ in range(IN_FLIGHT)]
        with ThreadPoolExecutor(16) as senders:
            calls = list(senders.map(lab.start, requests))
            lab.wait_until(lambda: told(caller, "/")["held"] == IN_FLIGHT)
        grown = told(caller, "/open")["peak"] - before
        replies = [call.reply() for call in calls]

    assert [200] * IN_FLIGHT == [reply.status for reply in replies]
    assert grown < IN_FLIGHT * MIB // 2
