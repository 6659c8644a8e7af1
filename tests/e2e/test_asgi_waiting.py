# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A client that goes while it waits for another's answer waits no more."""

from __future__ import annotations

import pytest

from keyonce.testing.integration_contract import Lab
from keyonce.testing.integration_scenarios.messages import Request
from tests.integrations.servers import HYPERCORN, UVICORN, serving

SERVERS = {
    "httptools": (*UVICORN, "--http", "httptools"),
    "h11": (*UVICORN, "--http", "h11"),
    "hypercorn": HYPERCORN,
}
MANY = 10


@pytest.fixture(params=SERVERS)
def lab(request, tmp_path):
    command = (*SERVERS[request.param], "tests.e2e.asgi_waiting:app")
    with serving(command, tmp_path / "log") as caller:
        yield Lab(caller)


def told(lab, target="/"):
    return lab.caller.start(Request("GET", target)).reply().json()


def waiting(lab, request, number):
    """Start a first call of *request* and *number* more; all are in the server."""
    first = lab.start(request)
    lab.wait_until(lambda: told(lab)["runs"] == 1)
    others = [lab.start(request) for _ in range(number)]
    lab.wait_until(lambda: told(lab)["guarded"] == 1 + number)
    return first, others


def test_who_hangs_up_waits_no_more_and_runs_nothing(lab):
    first, others = waiting(lab, lab.request("/bread"), MANY)

    for call in others:
        call.hang_up()
    lab.wait_until(lambda: told(lab)["guarded"] == 1)
    told(lab, "/open")

    assert 500 == first.reply().status
    lab.wait_until(lambda: told(lab)["guarded"] == 0)
    assert 1 == told(lab)["runs"]


def test_who_stays_runs_with_its_whole_body(lab):
    request = lab.request("/bread", body=b"rye, and some salt")
    at_rest = told(lab)["tasks"]
    first, others = waiting(lab, request, 2)

    others[0].hang_up()
    lab.wait_until(lambda: told(lab)["guarded"] == 2)
    told(lab, "/open")

    assert 500 == first.reply().status
    reply = others[1].reply()
    assert (200, "rye, and some salt") == (reply.status, reply.json())
    assert 2 == told(lab)["runs"]
    lab.wait_until(lambda: told(lab)["tasks"] <= at_rest)
