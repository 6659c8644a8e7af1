# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A guarded request is cancelled at every point where it can be."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from keyonce import Policy, Rule, by_header
from keyonce.integrations.asgi import IdempotencyMiddleware
from keyonce.stores.memory import AsyncMemoryStore
from keyonce.testing.clock import FakeClock
from tests.integrations.cancelling import CancelledAt, SuspendingStore

PIECES = 4
LARGE = 100_000
LEASE = 0.3
DETACHED = "IdempotencyMiddleware._carry"


class Shop:
    """An app that suspends wherever an app can."""

    def __init__(self, size):
        self.size = size
        self.effects = 0

    async def __call__(self, scope, receive, send):
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        await asyncio.sleep(0)
        self.effects += 1
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 201, "headers": []})
        for _ in range(PIECES):
            await asyncio.sleep(0)
            piece = b"p" * self.size
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})
        await asyncio.sleep(0)


class Line:
    """A client's line: two pieces of a request, and what came back."""

    def __init__(self):
        self.messages = [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.request", "body": b"}", "more_body": False},
        ]
        self.sent = []

    async def receive(self):
        await asyncio.sleep(0)
        if self.messages:
            return self.messages.pop(0)
        return {"type": "http.disconnect"}

    async def send(self, message):
        await asyncio.sleep(0)
        self.sent.append(message)

    @property
    def status(self):
        return self.sent[0]["status"] if self.sent else None

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def replayed(self):
        return (b"idempotency-replayed", b"true") in self.sent[0]["headers"]


SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/orders",
    "query_string": b"",
    "headers": [(b"idempotency-key", b"one"), (b"x-api-key", b"me")],
}


def guarded(shop, store, guarantee):
    policy = Policy(guarantee=guarantee, lease=timedelta(seconds=LEASE))
    return IdempotencyMiddleware(
        shop, store=store, scope=by_header("X-Api-Key"), rules=[Rule("/**", policy)]
    )


async def others_ended():
    mine = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not mine]
    if others:
        await asyncio.wait(others, timeout=5)
    assert not [task for task in others if not task.done()]


async def retried(app):
    line = Line()
    await app(dict(SCOPE), line.receive, line.send)
    await others_ended()
    return line


@pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once"])
@pytest.mark.parametrize("size", [1, LARGE], ids=["held", "streamed"])
@pytest.mark.parametrize("make_store", [AsyncMemoryStore, SuspendingStore])
async def test_the_server_may_cancel_a_request_anywhere(make_store, size, guarantee):
    clock = FakeClock()
    nth = 0
    reached = True
    while reached:
        nth += 1
        shop = Shop(size)
        app = guarded(shop, make_store(clock=clock), guarantee)
        line = Line()
        request = CancelledAt(app(dict(SCOPE), line.receive, line.send), nth)
        await asyncio.gather(
            asyncio.get_running_loop().create_task(request), return_exceptions=True
        )
        await others_ended()
        reached = request.reached
        effects = shop.effects

        line = await retried(app)

        assert effects in {0, 1}, nth
        assert 1 == shop.effects, nth
        assert (201, b"p" * PIECES * size + b"end") == (line.status, line.body), nth
        assert bool(effects) is line.replayed, nth
        assert 0 == app.gateway.space.used
        await app.close()
    assert nth > 3


@pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once"])
@pytest.mark.parametrize("size", [1, LARGE], ids=["held", "streamed"])
@pytest.mark.parametrize("make_store", [AsyncMemoryStore, SuspendingStore])
async def test_a_loop_may_cancel_the_work_anywhere(make_store, size, guarantee):
    loop = asyncio.get_running_loop()
    clock = FakeClock()
    nth = 0
    reached = True
    while reached:
        nth += 1
        works: list[CancelledAt] = []

        def cancelling(loop, work, works=works, nth=nth, **options):
            if work.__qualname__ == DETACHED and not works:
                work = CancelledAt(work, nth)
                works.append(work)
            return asyncio.Task(work, loop=loop, **options)

        loop.set_task_factory(cancelling)
        shop = Shop(size)
        app = guarded(shop, make_store(clock=clock), guarantee)
        line = Line()
        first = asyncio.create_task(app(dict(SCOPE), line.receive, line.send))
        await asyncio.gather(first, return_exceptions=True)
        loop.set_task_factory(None)
        await others_ended()
        reached = works[0].reached
        effects = shop.effects

        line = await retried(app)
        if b"request-in-progress" in line.body:
            # Cancelled between the claim and the work: as if the process had died.
            assert 0 == effects, nth
            clock.advance(2 * LEASE)
            line = await retried(app)

        assert effects in {0, 1}, nth
        assert shop.effects <= 1 + (guarantee == "at-least-once"), nth
        if guarantee == "at-least-once":
            assert 201 == line.status, nth
        else:
            assert line.status in {201, 409, 500}, nth
            assert b"request-in-progress" not in line.body, nth
        assert 0 == app.gateway.space.used, nth
        await app.close()
    assert nth > 3
