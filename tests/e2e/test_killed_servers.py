# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Two sidecars over one server that is killed under load, and comes back."""

from __future__ import annotations

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest

from tests.e2e.upstream import counting
from tests.proxy.processes import running

pytestmark = pytest.mark.servers

SENDERS = 8
WITHIN = 60


@dataclass(frozen=True)
class Reply:
    """What one request was answered with."""

    status: int
    body: bytes
    replayed: bool
    mark: str
    code: str


def send(port, key):
    """Send one request; None where the line broke."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Idempotency-Key": key, "X-Api-Key": "me"}
    try:
        line.request("POST", "/orders", b"{}", headers)
        reply = line.getresponse()
        body = reply.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        line.close()
    code = ""
    if reply.getheader("Content-Type", "").startswith("application/problem+json"):
        code = json.loads(body).get("code", "")
    replayed = reply.getheader("Idempotency-Replayed") == "true"
    mark = reply.getheader("Idempotency-Status", "")
    return Reply(reply.status, body, replayed, mark, code)


@dataclass
class Load:
    """Senders that each go on with new keys, first to one sidecar, then the other."""

    ports: list[int]
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, name):
        number = 0
        while not self.over.is_set():
            key = f"{name}-{number}"
            self.sent.add(key)
            reply = send(self.ports[number % len(self.ports)], key)
            number += 1
            if reply is None:
                continue
            if reply.status == 200 and not reply.mark:
                self.acknowledged[key] = reply.body
            elif reply.status == 503:
                self.refused.add(key)


def until(reached, what):
    deadline = time.monotonic() + WITHIN
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def config(upstream, store):
    return f"""
upstream = "{upstream.url}"
store = "{store}"
store_timeout = "1s"
listen = "127.0.0.1:0"
admin = "off"
[scope]
header = "X-Api-Key"
[[rule]]
match = "POST /**"
lease = "3s"
"""


@pytest.mark.parametrize("kind", ["postgres", "mysql", "redis"])
def test_what_was_acknowledged_is_kept_and_nothing_runs_twice(kind, request, tmp_path):
    server, url = request.getfixturevalue(kind)
    with ExitStack() as stack:
        upstream = stack.enter_context(counting())
        ports = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            program = stack.enter_context(running(folder, config(upstream, url)))
            ports.append(program.port)
        load = Load(ports)
        senders = [
            threading.Thread(target=load.run, args=(f"{kind}-{number}",))
            for number in range(SENDERS)
        ]
        for sender in senders:
            sender.start()
        try:
            until(lambda: len(load.acknowledged) >= 100, "the first answers")
            server.kill()
            until(lambda: len(load.refused) >= SENDERS, "answers of 503")
            down = send(ports[0], f"{kind}-while-down")
            server.start()
            back = len(load.acknowledged)
            until(lambda: len(load.acknowledged) >= back + 100, "new answers")
        finally:
            load.over.set()
            for sender in senders:
                sender.join()
        again = retried(ports, sorted(load.acknowledged))
        after = retried(ports, sorted(load.refused))

    assert (503, "store-unavailable", 0) == (
        down.status,
        down.code,
        upstream.effects[f"{kind}-while-down"],
    )
    assert load.acknowledged == {key: reply.body for key, reply in again.items()}
    assert all(reply.replayed for reply in again.values())
    assert 1 == max(upstream.effects[key] for key in load.sent)
    assert {200, 409} >= {reply.status for reply in after.values()}


def retried(ports, keys):
    """What each of *keys* is answered with in the end."""
    with ThreadPoolExecutor(2 * SENDERS) as senders:
        replies = senders.map(lambda key: insisted(ports, key), keys)
        return dict(zip(keys, replies, strict=True))


def insisted(ports, key):
    """Ask both sidecars for *key* until one says how it ended."""
    deadline = time.monotonic() + WITHIN
    while True:
        for port in ports:
            with suppress(OSError):
                reply = send(port, key)
                if reply is not None and settled(reply):
                    return reply
        assert time.monotonic() < deadline, f"no end of {key}: {reply}"
        time.sleep(0.05)


def settled(reply):
    return reply.status == 200 or reply.code == "outcome-unknown"
