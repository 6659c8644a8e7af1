# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Callers before a sealed store: replays as ever, 500 for what cannot be opened."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from keyonce import Policy, Rule, by_header
from keyonce.integrations import asgi, wsgi
from keyonce.integrations.gateway import Secrets
from keyonce.stores.sealed import AsyncSealed, Sealed
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.integration_contract import KnownApp, Lab
from keyonce.testing.integration_scenarios.asgi import AsgiCaller, asgi_app
from keyonce.testing.integration_scenarios.lab import value
from keyonce.testing.integration_scenarios.wsgi import WsgiCaller, wsgi_app
from tests.stores.sealed.cases import DROPPED, RING, ROTATED, run_sql

OLD_SECRET = Secrets(keys={"a": b"a" * 32}, current="a")
NEW_SECRET = Secrets(keys={"a": b"a" * 32, "b": b"b" * 32}, current="b")
LOST_SECRET = Secrets(keys={"b": b"b" * 32}, current="b")


class Gateway:
    """One of the two gateways, over one file, sealed with the ring of the moment."""

    def __init__(self, kind, path):
        self.kind = kind
        self.path = path
        self.known = KnownApp()

    @contextmanager
    def up(self, ring, **settings):
        settings = {
            "scope": by_header("X-Api-Key"),
            "rules": [Rule("POST /**", Policy())],
            **settings,
        }
        if self.kind == "wsgi":
            store = SQLiteStore(self.path)
            threaded = wsgi.IdempotencyMiddleware(
                wsgi_app(self.known),
                store=store if ring is None else Sealed(store, ring),
                **settings,
            )
            yield Lab(WsgiCaller(threaded))
            threaded.close()
            store.close()
            return
        file = AsyncSQLiteStore(self.path)
        aio = file if ring is None else AsyncSealed(file, ring)
        caller = AsgiCaller(
            asgi.IdempotencyMiddleware(asgi_app(self.known), store=aio, **settings)
        )
        yield Lab(caller)
        caller.close()

    def runs(self, *requests):
        return [self.known.begun(value(request, "X-Run")) for request in requests]


@pytest.fixture(params=["asgi", "wsgi"])
def gateway(request, tmp_path):
    return Gateway(request.param, tmp_path / "keyonce.db")


def code_of(answer):
    return answer.status, answer.code


UNREADABLE = (500, "record-unreadable")


def test_a_sealed_answer_is_replayed_byte_for_byte_after_a_rotation(gateway):
    with gateway.up(RING) as lab:
        request = lab.request("/plain/order")
        first = lab.send(request)

    with gateway.up(ROTATED) as lab:
        again = lab.send(request)

    assert (first.status, first.body) == (again.status, again.body)
    assert again.replayed
    assert [1] == gateway.runs(request)


def test_rows_swapped_between_tenants_are_answered_by_500_and_run_nothing(gateway):
    with gateway.up(RING) as lab:
        mine = lab.request("/plain/echo?n=1")
        theirs = lab.request("/plain/echo?n=1", scope="somebody else")
        lab.send(mine)
        lab.send(theirs)

    run_sql(gateway.path, "UPDATE keyonce_results SET id = -id")
    run_sql(
        gateway.path,
        "UPDATE keyonce_results SET id = id + (SELECT sum(id) FROM keyonce_records)",
    )

    with gateway.up(RING) as lab:
        assert UNREADABLE == code_of(lab.send(mine))
        assert UNREADABLE == code_of(lab.send(theirs))
    assert [1, 1] == gateway.runs(mine, theirs)


@pytest.mark.parametrize("ring", [DROPPED, None], ids=["without the key", "not sealed"])
def test_without_its_key_an_answer_is_500_and_nothing_runs(gateway, ring):
    with gateway.up(RING) as lab:
        request = lab.request("/plain/order")
        first = lab.send(request)
    with gateway.up(ring) as lab:
        assert UNREADABLE == code_of(lab.send(request))
        assert UNREADABLE == code_of(lab.send(request))

    with gateway.up(RING) as lab:
        assert first.body == lab.send(request).body
    assert [1] == gateway.runs(request)


def test_an_answer_from_before_the_sealing_is_500_and_nothing_runs(gateway):
    with gateway.up(None) as lab:
        request = lab.request("/plain/order")
        lab.send(request)

    with gateway.up(RING) as lab:
        assert UNREADABLE == code_of(lab.send(request))
    assert [1] == gateway.runs(request)


def test_whose_key_it_is_depends_on_no_secret(gateway):
    with gateway.up(RING, secrets=OLD_SECRET) as lab:
        request = lab.request("/plain/order")
        other = lab.request("/plain/order", key=value(request, "Idempotency-Key"))
        first = lab.send(request)

    with gateway.up(ROTATED, secrets=NEW_SECRET) as lab:
        assert first.body == lab.send(request).body
    with gateway.up(ROTATED, secrets=LOST_SECRET) as lab:
        assert (409, "record-unreadable") == code_of(lab.send(request))
    with gateway.up(DROPPED, secrets=LOST_SECRET) as lab:
        assert UNREADABLE == code_of(lab.send(request))
    assert [1] == gateway.runs(request)
    assert [0] == gateway.runs(other)
    identities = "SELECT count(DISTINCT key), count(*) FROM keyonce_records"
    assert [(1, 1)] == run_sql(gateway.path, identities)
