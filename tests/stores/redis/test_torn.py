# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Records that are torn or forged are refused, never taken for absent (F-57)."""

from __future__ import annotations

import pytest

from keyonce.core.errors import RecordUnreadable, SettlementRefused, StoreError
from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
    settlement_of,
)
from tests.stores.redis.kinds import KINDS, store_of

KEY = b"keyonce:r:{5:alice12:POST /orders7:order-1}"


def change(field, to):
    """Give what writes *to(value)* into *field*."""
    return lambda client: client.hset(KEY, field, to(client.hget(KEY, field)))


TORN = {
    "without an outcome": lambda client: client.hdel(KEY, "o"),
    "with a cut outcome": change("o", lambda value: value[:9]),
    "with an empty outcome": change("o", lambda value: b""),
    "with another byte": change("o", lambda value: value[:-1] + b"x"),
    "without a head": lambda client: client.hdel(KEY, "h"),
    "with a cut head": change("h", lambda value: value[:20]),
    "with an empty head": change("h", lambda value: b""),
    "from a newer version": change("h", lambda value: b"\x02" + value[1:]),
    "of an unknown status": change("h", lambda value: b"\x01\x09" + value[2:]),
    "running with an outcome": change("h", lambda value: b"\x01\x01" + value[2:]),
    "of an unknown guarantee": change("h", lambda v: v[:2] + b"\x63" + v[3:]),
    "with a torn fingerprint": change("d", lambda value: b"abc"),
    "with a text for a hash": lambda client: client.set(KEY, "hello"),
}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(params=KINDS)
def store(request, server, clock):
    store = store_of(request.param, server.url, clock=clock)
    yield store
    store.close()


@pytest.fixture(params=list(TORN.values()), ids=list(TORN))
def torn(request, store, server):
    completed(store)
    with server.client as client:
        request.param(client)
    return store


def dump(server):
    with server.client as client:
        return {key: client.dump(key) for key in client.scan_iter()}


def test_a_torn_record_is_never_absent(torn, server):
    before = dump(server)

    for verb in (
        lambda: torn.find(ORDER),
        lambda: torn.claim(claim_of(owner=SECOND)),
        lambda: torn.claim(claim_of(named("order-1"), owner=SECOND)),
    ):
        with pytest.raises(RecordUnreadable, match=r"torn|read"):
            verb()

    assert before == dump(server)


@pytest.mark.parametrize("result", [ANSWER, None], ids=["resolve", "release"])
def test_an_operator_settles_a_torn_record(torn, clock, result):
    clock.advance(HOUR / 2)  # where it seems to run, its lease has ended

    settled = torn.settle(settlement_of(result=result))

    status = Status.RELEASED if result is None else Status.COMPLETED
    assert (status, result) == (settled.status, settled.result)
    assert settled == record_in(torn)
    assert 1 == len(torn.audits(ORDER))
    with pytest.raises(SettlementRefused):
        torn.settle(settlement_of())


@pytest.mark.parametrize("name", ["without an outcome", "with a cut head"])
def test_a_listing_tells_what_it_cannot_read(store, server, name):
    completed(store)
    with server.client as client:
        TORN[name](client)

    listed = store.records(Query(status=Status.UNKNOWN))

    assert [(ORDER, "unreadable")] == [(each.identity, each.reason) for each in listed]


def test_only_the_torn_record_is_lost(torn):
    assert completed(torn, named("other")) == record_in(torn, named("other"))
    assert {Status.UNKNOWN, Status.COMPLETED, Status.IN_PROGRESS} >= set(
        torn.stats().counts
    )


def test_purging_leaves_what_nobody_can_read(store, server, clock):
    completed(store)
    with server.client as client:
        TORN["with a cut head"](client)
    clock.advance(2 * HOUR)
    before = dump(server)

    assert 0 == store.purge()
    assert before == dump(server)


def test_keys_of_others_are_left_alone(store, server, clock):
    with server.client as client:
        client.set("keyonce:r:{nobody}", "theirs")
        client.set("keyonce:r:{5:alice12:POST /orders9:short}", "theirs")
        client.set("keyonce:a:{nobody}", "theirs")
    before = dump(server)

    assert [] == list(store.records(Query()))
    assert ({}, 0, []) == (store.stats().counts, store.purge(), list(store.audits()))
    assert before == dump(server)


def test_a_torn_audit_is_told(store, server):
    store.claim(claim_of())
    store.abandon(ORDER, FIRST, "crashed")
    store.settle(settlement_of())
    with server.client as client:
        client.lset("keyonce:a:{5:alice12:POST /orders7:order-1}", 0, "xx")

    with pytest.raises(RecordUnreadable):
        store.audits(ORDER)


def test_what_is_no_text_is_refused(store):
    for verb in (
        lambda: store.claim(claim_of(named("\ud800"))),
        lambda: store.find(ORDER._replace(scope="\udfff")),
        lambda: store.complete(completion_of(reference="\ud800")),
    ):
        with pytest.raises(StoreError, match="UTF-8"):
            verb()
