# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Who cannot say how it ended may say what it has brought about."""

from __future__ import annotations

import io

import pytest

from keyonce import Policy, Rule, by_header
from keyonce.core.ending import Unclear
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.http.ending import ending
from keyonce.http.messages import Response
from keyonce.http.steer import read_steering
from keyonce.integrations.wsgi import IdempotencyMiddleware
from keyonce.stores.memory import MemoryStore
from keyonce.testing.faults import Fault, FaultPlan, FaultyStore

SAID = ((b"keyonce-outcome", b"unknown"), (b"keyonce-reference", b"ch_123"))


def started(_status, _headers, _exc_info=None, /):
    """Take the head of an answer, as a server does."""
    return lambda _data: None


def posted(store):
    """Have a handler say over WSGI that it does not know how it ended."""

    def app(environ, start_response):
        start_response("200 OK", [(a.decode(), b.decode()) for a, b in SAID])
        return [b"perhaps"]

    guarded = IdempotencyMiddleware(
        app,
        store=store,
        scope=by_header("X-Api-Key"),
        rules=[Rule("POST /**", Policy(guarantee=Guarantee.AT_MOST_ONCE))],
    )
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/charges",
        "CONTENT_LENGTH": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_IDEMPOTENCY_KEY": "charge-1",
        "HTTP_X_API_KEY": "ann",
        "wsgi.input": io.BytesIO(),
    }
    try:
        answer = guarded(environ, started)
        b"".join(answer)
        getattr(answer, "close", lambda: None)()
    finally:
        guarded.close()


def test_an_unknown_outcome_keeps_its_reference():
    store = MemoryStore()

    posted(store)

    (record,) = store.records(Query())
    assert (Status.UNKNOWN, "ch_123") == (record.status, record.reference)


@pytest.mark.parametrize("verb", ["note", "abandon"])
def test_a_lost_reply_does_not_keep_it_from_that(verb):
    memory, plan = MemoryStore(), FaultPlan(Fault(verb=verb))

    posted(FaultyStore(memory, plan))

    (record,) = memory.records(Query())
    assert 1 == plan.met
    assert (Status.UNKNOWN, "ch_123") == (record.status, record.reference)


def test_a_broken_answer_of_an_upstream_keeps_it_too():
    policy = Policy(guarantee=Guarantee.AT_MOST_ONCE)
    steering = read_steering(SAID[1:])

    said = ending(Response(502, SAID), policy, behind_proxy=True, steering=steering)

    assert Unclear("status-502", "ch_123") == said
