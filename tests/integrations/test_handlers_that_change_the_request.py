# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A handler may change all that it is given: the key is what came in (F-54)."""

from __future__ import annotations

import io

import pytest

from keyonce import by_header
from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.integrations import asgi, wsgi
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.testing.integration_contract import Lab
from keyonce.testing.integration_scenarios.asgi import AsgiCaller
from keyonce.testing.integration_scenarios.lab import value
from keyonce.testing.integration_scenarios.wsgi import WsgiCaller

SCOPE = by_header("X-Api-Key")


class Changing:
    """Reads the body, then changes everything within reach, and answers."""

    def __init__(self):
        self.begun = 0

    async def asgi(self, scope, receive, send):
        if scope["type"] == "lifespan":
            for _ in ("startup", "shutdown"):
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
            return
        self.begun += 1
        message = await receive()
        message["body"] = b"changed"
        scope["headers"][:] = [(b"idempotency-key", b"another-key-1")]
        scope["method"], scope["path"], scope["raw_path"] = "PUT", "/gone", b"/gone"
        scope["query_string"] = b"changed=1"
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    def wsgi(self, environ, start_response):
        self.begun += 1
        environ["wsgi.input"].read()
        environ.update(
            HTTP_IDEMPOTENCY_KEY="another-key-1",
            REQUEST_METHOD="PUT",
            PATH_INFO="/gone",
            QUERY_STRING="changed=1",
            CONTENT_LENGTH="7",
        )
        environ["wsgi.input"] = io.BytesIO(b"changed")
        start_response("201 Created", [("Content-Type", "text/plain")])
        return [b"done"]


@pytest.fixture
def app():
    return Changing()


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture(params=["asgi", "wsgi"])
def lab(request, app, store):
    if request.param == "asgi":
        aio = AsyncMemoryStore(store)
        guarded = asgi.IdempotencyMiddleware(app.asgi, store=aio, scope=SCOPE)
        caller = AsgiCaller(guarded)
        yield Lab(caller)
        caller.close()
        return
    threaded = wsgi.IdempotencyMiddleware(app.wsgi, store=store, scope=SCOPE)
    yield Lab(WsgiCaller(threaded))
    threaded.close()


def test_its_outcome_is_recorded_under_the_request_that_came(lab, app, store):
    request = lab.request("/orders?a=1", body=b'{"item": "tea"}')

    first, again = lab.send(request), lab.send(request)

    assert (201, b"done") == (first.status, first.body) == (again.status, again.body)
    assert again.replayed
    assert 1 == app.begun
    (record,) = store.records(Query())
    assert Status.COMPLETED is record.status
    assert value(request, "Idempotency-Key") == record.identity.key
    assert "POST /orders" == record.identity.operation


def test_another_request_under_its_key_is_still_another(lab, app):
    key = "order-4711-a8f3"
    lab.send(lab.request("/orders", key=key, body=b'{"item": "tea"}'))

    other = lab.send(lab.request("/orders", key=key, body=b"changed"))

    assert (422, "key-reused") == (other.status, other.code)
    assert 1 == app.begun
