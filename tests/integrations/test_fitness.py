# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A store whose settings break its promise: nothing runs, and somebody is told."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.core.model import Finding
from keyonce.http.scope import shared
from keyonce.integrations import asgi, wsgi
from keyonce.integrations.fitness import AsyncFitness, Fitness
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from tests.integrations.environs import environ

BAD = Finding("error", "fsync", "It is off.", "Turn it on.")
WEAK = Finding("warning", "fsync", "It is off. Declared as enough.")
FINE = Finding("ok", "fsync", "on")
DOWN = StoreUnavailable("Nobody is there.")


class Server:
    """What a server says of itself, look after look; the last word stays."""

    def __init__(self, *words):
        self.words = list(words)
        self.looks = 0

    def look(self):
        self.looks += 1
        word = self.words[0] if len(self.words) == 1 else self.words.pop(0)
        if isinstance(word, Exception):
            raise word
        return [word]


class Examined(MemoryStore):
    def __init__(self, server, hold=None):
        super().__init__()
        self.server = server
        self.hold = hold

    def examine(self):
        if self.hold is not None:
            self.hold.wait(10)
        return self.server.look()


class AsyncExamined(AsyncMemoryStore):
    def __init__(self, server, hold=None):
        super().__init__()
        self.server = server
        self.hold = hold

    async def examine(self):
        if self.hold is not None:
            await self.hold.wait()
        return self.server.look()


class App:
    """Counts its runs, and whether it was started."""

    def __init__(self):
        self.runs = 0
        self.started = False

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            assert "lifespan.startup" == (await receive())["type"]
            self.started = True
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.runs += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    def wsgi(self, environ, start_response):
        self.runs += 1
        start_response("200 OK", [])
        return [b"done"]


async def started(server):
    """Start and stop an app on *server* by its lifespan; give what was sent."""
    app = App()
    guarded = asgi.IdempotencyMiddleware(
        app, store=AsyncExamined(server), scope=shared("all")
    )
    to_come = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive():
        return to_come.pop(0)

    async def send(message):
        sent.append(message)

    await guarded({"type": "lifespan"}, receive, send)
    return app, sent


async def test_an_app_does_not_start_on_a_store_that_breaks_its_promise():
    app, sent = await started(Server(BAD))

    [told] = sent
    assert "lifespan.startup.failed" == told["type"]
    assert "keyonce: store: fsync: It is off. Turn it on." == told["message"]
    assert not app.started


async def test_an_app_starts_on_a_store_that_is_down_and_is_looked_at_later(caplog):
    with caplog.at_level(logging.WARNING, logger="keyonce"):
        app, sent = await started(Server(DOWN))

    assert app.started
    assert "lifespan.startup.complete" == sent[0]["type"]
    assert "Nobody is there." in caplog.text


async def test_an_app_starts_on_a_store_that_is_fit():
    server = Server(FINE)

    app, _ = await started(server)

    assert (True, 1) == (app.started, server.looks)


async def posted(guarded):
    """Send one POST with a key; give what was answered."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/orders",
        "raw_path": b"/orders",
        "query_string": b"",
        "headers": [(b"idempotency-key", b"an-order-of-tea-1")],
    }
    await guarded(scope, receive, send)
    return sent[0]["status"]


async def test_without_a_lifespan_the_first_request_looks(caplog):
    server, app = Server(BAD, FINE), App()
    guarded = asgi.IdempotencyMiddleware(
        app, store=AsyncExamined(server), scope=shared("all")
    )

    refused = await posted(guarded)
    runs_before = app.runs
    mended = [await posted(guarded), await posted(guarded)]

    assert (503, 0) == (refused, runs_before)
    assert ([200, 200], 1, 2) == (mended, app.runs, server.looks)
    assert "fsync: It is off. Turn it on." in caplog.text


async def test_a_store_that_is_down_is_answered_with_503_and_not_run():
    server, app = Server(DOWN, FINE), App()
    guarded = asgi.IdempotencyMiddleware(
        app, store=AsyncExamined(server), scope=shared("all")
    )

    assert (503, 0) == (await posted(guarded), app.runs)
    assert (200, 1) == (await posted(guarded), app.runs)


def ordered(guarded):
    """Send one POST with a key to a WSGI app; give its status."""
    statuses = []
    answer = guarded(environ(), lambda status, headers, *rest: statuses.append(status))
    b"".join(answer)
    return int(statuses[0][:3])


def test_under_wsgi_the_first_request_looks(caplog):
    server, app = Server(BAD, BAD, DOWN, FINE), App()
    guarded = wsgi.IdempotencyMiddleware(
        app.wsgi, store=Examined(server), scope=shared("all")
    )

    statuses = [ordered(guarded) for _ in range(5)]

    assert ([503, 503, 503, 200, 200], 1, 4) == (statuses, app.runs, server.looks)
    [told] = [each for each in caplog.records if logging.ERROR == each.levelno]
    assert "fsync: It is off. Turn it on." in told.getMessage()
    assert told.exc_info is None
    guarded.close()


def test_what_is_weaker_is_said_once(caplog, tmp_path):
    server = Server(WEAK)
    fitness = Fitness(Lasting(server))

    with caplog.at_level(logging.WARNING, logger="keyonce"):
        fitness.check()
        fitness.check()

    assert 1 == server.looks
    assert ["store: fsync: It is off. Declared as enough."] == caplog.messages


class Lasting(Examined):
    """A store that outlives its process, as far as it says."""

    @property
    def traits(self):
        return replace(super().traits, durable=True)


@pytest.mark.parametrize("word", [BAD, DOWN])
def test_threads_that_wait_for_a_look_take_its_answer(word):
    hold, server = threading.Event(), Server(word)
    fitness = Fitness(Examined(server, hold))
    all_there = threading.Barrier(9)

    def check():
        all_there.wait(10)
        with pytest.raises((ConfigurationError, StoreUnavailable)) as refused:
            fitness.check()
        return str(refused.value)

    with ThreadPoolExecutor(8) as threads:
        told = [threads.submit(check) for _ in range(8)]
        all_there.wait(10)
        hold.set()
        texts = {each.result() for each in told}

    assert 1 == len(texts)


async def test_tasks_that_wait_for_a_look_take_its_answer():
    hold, server = asyncio.Event(), Server(DOWN)
    fitness = AsyncFitness(AsyncExamined(server, hold))

    waiting = [asyncio.create_task(fitness.check()) for _ in range(8)]
    await asyncio.sleep(0)
    hold.set()
    told = await asyncio.gather(*waiting, return_exceptions=True)

    assert 1 == server.looks
    assert {StoreUnavailable} == {type(each) for each in told}
