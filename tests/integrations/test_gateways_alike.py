# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What needs a store, a clock or a second gateway of its own, for both gateways."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest

from keyonce import ConfigurationError, Guarantee, Policy, Rule, StoredResult, by_header
from keyonce.core.model import Query, Settlement
from keyonce.integrations import asgi, wsgi
from keyonce.integrations.gateway import Secrets
from keyonce.integrations.spool import SPILL_AT, SpillSpace
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.testing.integration_contract import KnownApp, Lab
from keyonce.testing.integration_scenarios.asgi import AsgiCaller, asgi_app
from keyonce.testing.integration_scenarios.behaviours import pattern
from keyonce.testing.integration_scenarios.lab import value
from keyonce.testing.integration_scenarios.wsgi import WsgiCaller, wsgi_app

LEASE = 0.3
ANY = [Rule("POST /**", Policy())]


def runs(known, request):
    return known.begun(value(request, "X-Run"))


class Alike:
    """One of the two gateways, put up around a known app as a test wants it."""

    def __init__(self, kind):
        self.kind = kind

    @contextmanager
    def up(self, known, store, **settings):
        settings.setdefault("rules", ANY)
        settings.setdefault("scope", by_header("X-Api-Key"))
        if self.kind == "wsgi":
            threaded = wsgi.IdempotencyMiddleware(
                wsgi_app(known), store=store, **settings
            )
            yield Lab(WsgiCaller(threaded))
            threaded.close()
            return
        if isinstance(store, MemoryStore):
            store = AsyncMemoryStore(store)
        app = asgi.IdempotencyMiddleware(asgi_app(known), store=store, **settings)
        caller = AsgiCaller(app)
        yield Lab(caller)
        caller.close()

    def authorizing(self, answer):
        if self.kind == "wsgi":
            return lambda head, record: answer

        async def authorize(head, record):
            return answer

        return authorize


@pytest.fixture(params=["asgi", "wsgi"])
def gateway(request):
    return Alike(request.param)


def test_after_a_restart_with_a_rule_above_every_live_key_still_replays(
    gateway, tmp_path
):
    url = f"sqlite:///{tmp_path}/keyonce.db"
    known = KnownApp()
    with gateway.up(known, url) as lab:
        requests = [lab.request(f"/plain/echo?n={n}") for n in range(3)]
        requests.append(lab.request("/plain/order"))
        first = [lab.send(request) for request in requests]

    above = Rule("POST /plain/echo", Policy(required=True, lease=timedelta(seconds=5)))
    with gateway.up(known, url, rules=[above, *ANY]) as lab:
        second = [lab.send(request) for request in requests]

    assert [reply.lasting() for reply in first] == [r.lasting() for r in second]
    assert all(reply.replayed for reply in second)
    assert {1} == {runs(known, request) for request in requests}


def test_a_secret_that_rotates_forgets_no_key(gateway):
    known, store = KnownApp(), MemoryStore()
    old = Secrets(keys={"old": b"o" * 32}, current="old")
    new = Secrets(keys={"old": b"o" * 32, "new": b"n" * 32}, current="new")
    with gateway.up(known, store) as lab:
        bare = lab.request("/plain/order")
        lab.send(bare)
    with gateway.up(known, store, secrets=old) as lab:
        keyed = lab.request("/plain/order")
        lab.send(keyed)
        assert lab.send(bare).replayed
    with gateway.up(known, store, secrets=new) as lab:
        assert lab.send(bare).replayed
        assert lab.send(keyed).replayed

    with gateway.up(known, store) as lab:
        reply = lab.send(keyed)
        assert (1, 1) == (runs(known, bare), runs(known, keyed))

    assert (409, "record-unreadable") == (reply.status, reply.code)


@pytest.mark.parametrize(
    ("behaviour", "early"), [("slow/{}", 0), ("trickle/{}/9/50000", 400_000)]
)
def test_who_lost_the_key_answers_with_the_winners_outcome(gateway, behaviour, early):
    known = KnownApp()
    store = MemoryStore(clock=known.clock)
    policy = Policy(
        guarantee=Guarantee.AT_LEAST_ONCE,
        lease=timedelta(seconds=LEASE),
        work_limit=timedelta(seconds=LEASE / 2),
    )
    rules = [Rule("POST /**", policy)]
    with gateway.up(known, store, rules=rules, observer=known) as lab:
        gate = lab.name("gate")
        request = lab.request("/plain/" + behaviour.format(gate))
        loser = lab.start(request)
        loser.read(early)
        lab.wait_at(gate)
        lab.wait_until(lambda: lab.given_up_for(request) == "work-limit")
        lab.turn(2 * LEASE)
        winner = lab.start(request)
        winner.read(early)
        lab.wait_at(gate, visitors=2)
        lab.open(gate)
        last, first = winner.reply(), loser.reply()
        later = lab.settled(request)

    assert 2 == runs(known, request)
    # Whoever ended first is the winner; the other has its answer, or none.
    answers = {r.body for r in (first, last, later) if r.status < 400 and not r.cut_off}
    assert 1 == len(answers)


def test_an_operator_settles_what_is_unknown(gateway):
    known = KnownApp()
    store = MemoryStore(clock=known.clock)
    with gateway.up(known, store) as lab:
        request = lab.request("/plain/steer/unknown")
        freed = lab.request("/plain/steer/unknown")
        for sent in (request, freed):
            lab.send(sent)
        records = {r.identity.key: r.identity for r in store.records(Query())}
        result = StoredResult(
            201, ((b"content-type", b"text/plain"),), b"found", size=5
        )
        settled = records[value(request, "Idempotency-Key")]
        store.settle(Settlement(settled, "looked", "me", result))
        released = records[value(freed, "Idempotency-Key")]
        store.settle(Settlement(released, "looked", "me"))

        reply, again = lab.send(request), lab.send(freed)

    assert (201, b"found", True) == (reply.status, reply.body, reply.replayed)
    assert (500, "outcome-unknown") == (again.status, again.code)
    assert (1, 2) == (runs(known, request), runs(known, freed))


TORN = (
    "UPDATE keyonce_results SET result = substr(result, 1, length(result) - 3)",
    "UPDATE keyonce_results SET result = x'ff'",
    "DELETE FROM keyonce_results",
)


@pytest.mark.parametrize("tear", TORN)
def test_a_torn_record_is_told_and_never_run_again(gateway, tear, tmp_path):
    path = tmp_path / "keyonce.db"
    known = KnownApp()
    with gateway.up(known, f"sqlite:///{path}", observer=known) as lab:
        request = lab.request("/plain/order")
        lab.send(request)
        with closing(sqlite3.connect(path)) as rows, rows:
            rows.execute(tear)

        replies = [lab.send(request), lab.send(request)]
        outcomes = lab.outcomes(request)

    assert [500, 500] == [reply.status for reply in replies]
    assert ["record-unreadable"] * 2 == [reply.code for reply in replies]
    assert ["executed", "unreadable", "unreadable"] == outcomes
    assert 1 == runs(known, request)


def test_a_replay_can_be_forbidden(gateway):
    known = KnownApp()
    authorize = gateway.authorizing(answer=False)
    with gateway.up(known, MemoryStore(), authorize_replay=authorize) as lab:
        request = lab.request("/plain/order")
        first, second = lab.send(request), lab.send(request)

    assert (201, 403) == (first.status, second.status)
    assert "replay-forbidden" == second.code
    assert 1 == runs(known, request)


def test_a_replay_can_be_allowed(gateway):
    authorize = gateway.authorizing(answer=True)
    with gateway.up(KnownApp(), MemoryStore(), authorize_replay=authorize) as lab:
        request = lab.request("/plain/order")

        assert [False, True] == [lab.send(request).replayed for _ in range(2)]


@pytest.mark.parametrize(
    "target", ["bytes/600000", "stream/6/100000", "declared/6/100000"]
)
def test_without_room_for_a_copy_the_answer_is_not_kept(gateway, target):
    known = KnownApp()
    space = SpillSpace(most_bytes=SPILL_AT)
    with gateway.up(known, MemoryStore(), space=space) as lab:
        request = lab.request(f"/plain/{target}")
        first, second = lab.send(request), lab.send(request)

    assert (200, False) == (first.status, first.cut_off)
    assert 600_000 == len(first.body)
    assert (409, "response-not-kept") == (second.status, second.code)
    assert 1 == runs(known, request)
    assert 0 == space.used


def test_without_room_for_a_request_nothing_runs(gateway):
    known, space = KnownApp(), SpillSpace(most_bytes=SPILL_AT)
    with gateway.up(known, MemoryStore(), space=space) as lab:
        request = lab.request("/plain/echo", body=pattern(600_000))
        reply = lab.send(request)

    assert (503, "store-unavailable") == (reply.status, reply.code)
    assert 0 == runs(known, request)
    assert 0 == space.used


def test_a_store_that_cannot_keep_the_guarantee_is_refused(gateway):
    rules = [Rule("POST /**", Policy(guarantee=Guarantee.EXACTLY_ONCE))]

    with pytest.raises(ConfigurationError, match="exactly-once"):
        with gateway.up(KnownApp(), MemoryStore(), rules=rules):
            pass


def test_a_scope_has_no_default(gateway):
    with pytest.raises(ConfigurationError, match="scope"):
        with gateway.up(KnownApp(), MemoryStore(), scope=None):
            pass
