# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Steps inside guarded requests, under both gateways."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import flask
import httpx2
import pytest
import werkzeug.test
from fastapi import FastAPI, HTTPException
from starlette.responses import JSONResponse

from keyonce import (
    Guarantee,
    Policy,
    Rule,
    SafeToRetry,
    StepRule,
    current_async_work,
    current_downstream_key,
    current_work,
    shared,
)
from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.integrations import asgi, wsgi
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.testing.faults import AsyncFaultyStore, Fault, FaultPlan, FaultyStore

RULES = [
    Rule("POST /**", Policy(guarantee=Guarantee.RESUME, lease=timedelta(seconds=30)))
]
CHARGE = StepRule("charge", safe=False)
HEADERS = {"Idempotency-Key": "order-1"}


class Shop:
    """An application whose handler is the test's; asked as a client does."""

    rules = RULES
    headers = HEADERS
    faults = ()

    def __init__(self):
        self.memory = MemoryStore()
        self.done = []

    def status(self):
        (record,) = self.memory.records(Query())
        return record.status

    def act(self, name):
        self.done.append(name)
        return name


class AsgiShop(Shop):
    """FastAPI: a plain handler, which runs in a thread of the loop."""

    def ask(self, handler):
        app = FastAPI()
        app.add_api_route("/orders", handler, methods=["POST"], status_code=201)
        app.add_exception_handler(KeyError, _caught)
        app.add_middleware(
            asgi.IdempotencyMiddleware,
            store=AsyncFaultyStore(
                AsyncMemoryStore(self.memory), FaultPlan(*self.faults)
            ),
            scope=shared("everyone"),
            rules=self.rules,
        )
        return asyncio.run(self._asked(app))

    async def _asked(self, app):
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://t") as http:
            answer = await http.post("/orders", headers=self.headers)
        return answer.status_code, answer.json()


async def _caught(_request, _error):
    return JSONResponse("caught", status_code=500)


class WsgiShop(Shop):
    """Flask."""

    def ask(self, handler):
        site = flask.Flask(__name__)
        site.testing = True

        def view():
            try:
                return json.dumps(handler()), 201
            except KeyError:
                return json.dumps("caught"), 500
            except HTTPException as refused:
                return json.dumps(refused.detail), refused.status_code

        site.add_url_rule("/orders", view_func=view, methods=["POST"])
        guarded = wsgi.IdempotencyMiddleware(
            site.wsgi_app,
            store=FaultyStore(self.memory, FaultPlan(*self.faults)),
            scope=shared("everyone"),
            rules=self.rules,
        )
        site.wsgi_app = guarded  # type: ignore[method-assign]
        try:
            answer = site.test_client().post("/orders", headers=self.headers)
        finally:
            guarded.close()
        return answer.status_code, json.loads(answer.data)


@pytest.fixture(params=[AsgiShop, WsgiShop], ids=["asgi", "wsgi"])
def shop(request):
    return request.param()


def failing(error):
    raise error


def test_steps_of_a_request_are_not_repeated(shop):
    keys = []

    def handler(*, fails):
        work = current_work()
        held = work.step("hold", shop.act, "held")
        work.step("key", lambda: keys.append(current_downstream_key()))
        if fails:
            raise HTTPException(503, "later")
        return [held, work.execution]

    assert 503 == shop.ask(lambda: handler(fails=True))[0]
    assert Status.RELEASED is shop.status()

    assert (201, ["held", 2]) == shop.ask(lambda: handler(fails=False))
    assert (201, ["held", 2]) == shop.ask(lambda: handler(fails=False))
    assert ["held"] == shop.done
    assert 1 == len(keys)


@pytest.mark.parametrize(
    ("policy", "headers"),
    [
        ({}, {}),
        ({"mode": "off"}, HEADERS),
        ({"mode": "observe"}, HEADERS),
        ({"mode": "validate"}, HEADERS),
        ({"on_store_down": "proceed"}, HEADERS),
    ],
    ids=["without a key", "off", "observe", "validate", "without a store"],
)
def test_where_nobody_guards_the_same_handler_works_each_time(shop, policy, headers):
    def handler():
        work = current_work()
        held = work.step(CHARGE, shop.act, "held")
        work.reference("hold-1")
        return [held, work.execution, len(work.downstream_key("charge")) > 0]

    shop.rules = [Rule("POST /**", Policy(guarantee=Guarantee.RESUME, **policy))]
    shop.headers = headers
    if "on_store_down" in policy:
        shop.faults = [Fault(verb="claim", times=None)]

    asked = [shop.ask(handler), shop.ask(handler)]

    assert [(201, ["held", 1, True])] * 2 == asked
    assert ["held", "held"] == shop.done


def test_a_wsgi_app_that_works_while_it_is_sent_works_where_nobody_guards():
    done = []

    def app(_environ, start_response):
        done.append(current_work().step("hold", lambda: "held"))
        start_response("201 Created", [])
        yield b"held"

    guarded = wsgi.IdempotencyMiddleware(
        app, store="memory://", scope=shared("everyone"), rules=RULES
    )
    answer = werkzeug.test.Client(guarded).post("/orders")
    guarded.close()

    assert (201, b"held") == (answer.status_code, answer.data)
    assert ["held"] == done


def test_a_step_that_is_not_safe_and_fails_parks_the_key(shop):
    def handler():
        current_work().step(CHARGE, failing, KeyError("timed out"))

    first, again = shop.ask(handler), shop.ask(handler)

    assert (500, "outcome-unknown") == (first[0], first[1]["code"])
    assert (409, "outcome-unknown") == (again[0], again[1]["code"])
    assert Status.UNKNOWN is shop.status()


@pytest.mark.parametrize("answer", [200, 404, 503])
def test_it_does_so_whatever_is_answered(shop, answer):
    def handler():
        try:
            current_work().step(CHARGE, failing, OSError("timed out"))
        except OSError:
            if answer != 200:
                raise HTTPException(answer, "no") from None
        return "well"

    status, told = shop.ask(handler)

    assert (500, "outcome-unknown") == (status, told["code"])
    assert Status.UNKNOWN is shop.status()


def test_an_outcome_without_recorded_steps_is_refused(shop, caplog):
    def before():
        current_work().step("hold", shop.act, "held")
        raise HTTPException(503, "later")

    shop.ask(before)

    status, told = shop.ask(lambda: "nothing to do")

    assert (500, "handler-failed") == (status, told["code"])
    assert Status.RELEASED is shop.status()
    assert "took the steps hold" in caplog.text


class TestOnTheLoop:
    """What a coroutine as a handler gets, and exceptions that reach the gateway."""

    async def ask(self, memory, handler):
        app = FastAPI()
        app.add_api_route("/orders", handler, methods=["POST"], status_code=201)
        app.add_middleware(
            asgi.IdempotencyMiddleware,
            store=AsyncMemoryStore(memory),
            scope=shared("everyone"),
            rules=RULES,
        )
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://t") as http:
            answer = await http.post("/orders", headers=HEADERS)
        return answer.status_code, answer.json()

    @pytest.fixture
    def memory(self):
        return MemoryStore()

    def status(self, memory):
        (record,) = memory.records(Query())
        return record.status

    async def test_steps_side_by_side(self, memory):
        async def ask(name: str) -> str:
            return name

        async def handler():
            work = current_async_work()
            return await asyncio.gather(
                work.step("one", ask, "1"), work.step("two", ask, "2")
            )

        assert (201, ["1", "2"]) == await self.ask(memory, handler)

    async def test_an_unclear_step_raised_out_of_the_app_parks(self, memory):
        async def handler():
            await current_async_work().step(CHARGE, failing, OSError("timed out"))

        status, told = await self.ask(memory, handler)

        assert (500, "outcome-unknown") == (status, told["code"])
        assert Status.UNKNOWN is self.status(memory)

    async def test_safe_to_retry_frees_the_key_all_the_same(self, memory):
        async def handler():
            await current_async_work().step(CHARGE, failing, SafeToRetry("unasked"))

        assert 500 == (await self.ask(memory, handler))[0]
        assert Status.RELEASED is self.status(memory)

    async def test_changed_steps_fail_and_free_the_key(self, memory):
        async def handler():
            work = current_async_work()
            await work.step("one", str)
            await work.step("one", str)

        status, told = await self.ask(memory, handler)

        assert (500, "handler-failed") == (status, told["code"])
        assert Status.RELEASED is self.status(memory)
