# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The ASGI gateway around apps of Starlette and FastAPI."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager

import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from keyonce import Policy, Rule, by_header
from keyonce.integrations.asgi import IdempotencyMiddleware
from keyonce.stores.memory import AsyncMemoryStore
from keyonce.testing.integration_contract import Lab
from keyonce.testing.integration_scenarios.asgi import AsgiCaller

WITHIN = 10


class Order(BaseModel):
    sku: str


def middleware(**settings):
    settings.setdefault("store", AsyncMemoryStore())
    return Middleware(IdempotencyMiddleware, scope=by_header("X-Api-Key"), **settings)


@contextmanager
def up(app):
    caller = AsgiCaller(app)
    try:
        yield Lab(caller)
    finally:
        caller.close()


def starlette(endpoint, *stack, path="/orders"):
    return Starlette(
        routes=[Route(path, endpoint, methods=["POST"])],
        middleware=list(stack) or [middleware()],
    )


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        answer = await call_next(request)
        answer.headers["x-passed"] = answer.headers.get("x-passed", "") + "+"
        return answer


def test_a_background_task_runs_after_the_record_is_complete():
    began, may_end = threading.Event(), threading.Event()

    def later():
        began.set()
        may_end.wait(WITHIN)

    async def order(request):
        return JSONResponse({"ok": 1}, 201, background=BackgroundTask(later))

    with up(starlette(order)) as lab:
        request = lab.request("/orders")
        first = lab.send(request)
        assert began.wait(WITHIN)

        meanwhile = lab.send(request)
        may_end.set()

    assert first.lasting() == meanwhile.lasting()
    assert meanwhile.replayed


def test_a_background_task_that_fails_leaves_the_record():
    runs = []

    def later():
        raise RuntimeError

    async def order(request):
        runs.append(1)
        return JSONResponse({"ok": 1}, 202, background=BackgroundTask(later))

    with up(starlette(order)) as lab:
        request = lab.request("/orders")
        first, second = lab.send(request), lab.send(request)

    assert (202, True) == (second.status, second.replayed)
    assert first.lasting() == second.lasting()
    assert [1] == runs


@pytest.mark.parametrize(
    "stack",
    [
        [Middleware(Passing), middleware(), Middleware(Passing)],
        [Middleware(Passing), Middleware(Passing), middleware()],
        [middleware(), Middleware(Passing), Middleware(Passing)],
    ],
    ids=["between", "inside", "outside"],
)
def test_it_stands_among_base_http_middlewares(stack):
    runs = []

    async def order(request):
        runs.append(await request.json())
        return PlainTextResponse("done", 201)

    with up(starlette(order, *stack)) as lab:
        request = lab.request("/orders", body=b'{"a": 1}')
        first, second = lab.send(request), lab.send(request)

    assert (201, b"done", "++") == (first.status, first.body, first.header("x-passed"))
    assert first.lasting() == second.lasting()
    assert second.replayed
    assert [{"a": 1}] == runs


def test_a_hang_up_behind_base_http_middlewares_does_not_end_the_work():
    runs, gate = [], threading.Event()

    async def order(request):
        await request.body()
        runs.append(1)
        await asyncio.to_thread(gate.wait, WITHIN)
        return PlainTextResponse("done", 201)

    app = starlette(order, Middleware(Passing), middleware(), Middleware(Passing))
    with up(app) as lab:
        request = lab.request("/orders")
        call = lab.start(request)
        lab.wait_until(lambda: bool(runs))

        call.hang_up()
        gate.set()
        later = lab.settled(request)

    assert (201, b"done", True) == (later.status, later.body, later.replayed)
    assert [1] == runs


def test_an_exception_is_answered_once_and_for_all():
    runs = []

    async def order(request):
        runs.append(1)
        raise LookupError

    with up(starlette(order)) as lab:
        request = lab.request("/orders")
        first, second = lab.send(request), lab.send(request)

    assert (500, "handler-failed") == (first.status, first.code)
    assert first.lasting() == second.lasting()
    assert [1] == runs


def test_the_frameworks_own_error_answer_is_kept_as_it_is():
    runs = []

    async def order(request):
        runs.append(1)
        raise LookupError

    inner = Starlette(routes=[Route("/orders", order, methods=["POST"])])
    app = IdempotencyMiddleware(
        inner, store=AsyncMemoryStore(), scope=by_header("X-Api-Key")
    )
    with up(app) as lab:
        request = lab.request("/orders")
        first, second = lab.send(request), lab.send(request)

    assert (500, b"Internal Server Error") == (first.status, first.body)
    assert first.lasting() == second.lasting()
    assert [1] == runs


def test_an_app_that_raises_a_cancellation_comes_to_an_end():
    runs = []

    async def order(request):
        runs.append(1)
        cancelled = asyncio.get_running_loop().create_future()
        cancelled.cancel()
        await cancelled

    with up(starlette(order)) as lab:
        request = lab.request("/orders")
        first, second = lab.send(request), lab.send(request)

    assert (500, False) == (first.status, first.cut_off)
    assert second.code == first.code != "request-in-progress"
    assert [1] == runs


def test_an_endless_event_stream_ends_with_its_reader():
    ended = threading.Event()

    async def events():
        try:
            while True:
                yield b"data: tick\n\n"
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async def order(request):
        return StreamingResponse(events(), media_type="text/event-stream")

    with up(starlette(order)) as lab:
        request = lab.request("/orders")
        call = lab.start(request)
        assert b"data: tick\n\n" == call.read(12)

        call.hang_up()

        assert ended.wait(WITHIN)


def test_fastapi_reads_its_model_and_answers_the_same():
    app = FastAPI(middleware=[middleware(rules=[Rule("/**", Policy(required=True))])])
    sold = []

    @app.post("/orders", status_code=201)
    async def order(order: Order):
        sold.append(order.sku)
        return {"number": len(sold)}

    @app.post("/refused")
    async def refused():
        sold.append("refused")
        raise HTTPException(429, "later", {"Retry-After": "1"})

    with up(app) as lab:
        request = lab.request("/orders", body=b'{"sku": "tea"}')
        invalid = lab.request("/orders", body=b'{"sku": 1}')
        refusal = lab.request("/refused")
        replies = [lab.send(r) for r in (request, request, invalid, invalid)]
        refusals = [lab.send(refusal), lab.send(refusal)]

    assert [201, 201, 422, 422] == [reply.status for reply in replies]
    assert [False, True, False, True] == [reply.replayed for reply in replies]
    assert b'{"number":1}' == replies[1].body
    assert [429, 429] == [reply.status for reply in refusals]
    assert not any(reply.replayed for reply in refusals)
    assert ["tea", "refused", "refused"] == sold


def test_shutdown_waits_for_work_under_way():
    gate, runs = threading.Event(), []

    async def order(request):
        runs.append(1)
        await asyncio.to_thread(gate.wait, WITHIN)
        runs.append(2)
        return PlainTextResponse("done", 201)

    with up(starlette(order)) as lab:
        call = lab.start(lab.request("/orders"))
        lab.wait_until(lambda: bool(runs))
        call.hang_up()
        threading.Timer(0.1, gate.set).start()

    assert [1, 2] == runs
