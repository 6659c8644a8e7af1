# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting by pub/sub: who is told, who is not, and what breaks."""

from __future__ import annotations

import threading
import time

import pytest
import redis
from redis import asyncio as aioredis
from redis.sentinel import Sentinel

from keyonce.stores.redis import AsyncRedisStore, RedisStore, hearing
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
)
from tests.stores.announcing import SOON, Announcing, Listener, waits_for
from tests.stores.programs import run

CHANNEL = "keyonce:n"


@pytest.fixture
def clock():
    return FakeClock()


class TestRedisStore(Announcing):
    @pytest.fixture
    def store(self, clock, any_server):
        any_server.flush()
        store = RedisStore(any_server.url, clock=clock)
        yield store
        store.close()

    @pytest.fixture
    def hearer(self, clock, any_server):
        store = RedisStore(any_server.url, clock=clock)
        yield store
        store.close()


class TestAsyncRedisStore(Announcing):
    @pytest.fixture
    def store(self, clock, server):
        store = StorePortal(AsyncRedisStore(server.url, clock=clock))
        yield store
        store.close()

    @pytest.fixture
    def hearer(self, clock, server):
        store = StorePortal(AsyncRedisStore(f"unix://{server.socket}", clock=clock))
        yield store
        store.close()


class TestRedisStoreOnACluster(Announcing):
    @pytest.fixture
    def store(self, clock, cluster):
        cluster.flush()
        store = RedisStore(cluster.url, clock=clock)
        yield store
        store.close()

    @pytest.fixture
    def hearer(self, clock, cluster):
        store = StorePortal(AsyncRedisStore(cluster.url, clock=clock))
        yield store
        store.close()


class TestRedisStoreBehindSentinels(Announcing):
    @pytest.fixture
    def store(self, clock, sentinels):
        sentinels.flush()
        store = RedisStore(sentinels.url, clock=clock)
        yield store
        store.close()

    @pytest.fixture
    def hearer(self, clock, sentinels):
        store = StorePortal(AsyncRedisStore(sentinels.url, clock=clock))
        yield store
        store.close()


@pytest.fixture
def store(server):
    store = RedisStore(server.url)
    yield store
    store.close()


@pytest.fixture
def hearer(server):
    store = RedisStore(server.url)
    yield store
    store.close()


@pytest.fixture
def own(server):
    with server.client as client:
        yield client


@pytest.fixture
def ear(own):
    """What comes in on the channel, as a stranger hears it."""
    with own.pubsub() as subscription:
        subscription.subscribe(CHANNEL)
        assert subscription.get_message(timeout=SOON)["type"] == "subscribe"
        yield subscription


def payloads(ear, seconds=0.3):
    found = []
    while (message := ear.get_message(timeout=seconds)) is not None:
        found.append(message["data"])
    return found


def subscribers(client):
    return dict(client.pubsub_numsub(CHANNEL)).get(CHANNEL.encode(), 0)


def test_nothing_is_told_where_nobody_waits(store, ear):
    completed(store)
    store.claim(claim_of(named("free")))
    store.release(named("free"), FIRST, "safe", HOUR)
    store.claim(claim_of(named("free"), SECOND))
    store.abandon(named("free"), SECOND, "crashed")

    assert [] == payloads(ear)


def test_what_is_told_is_a_digest_and_the_mark_is_gone(store, hearer, ear, own):
    store.claim(claim_of())
    hearer.announce(ORDER)
    (name,) = own.keys("keyonce:r:*")
    assert b"1" == own.hget(name, "a")

    store.complete(completion_of())

    (told,) = payloads(ear)
    assert 40 == len(told)
    assert set(told) <= set(b"0123456789abcdef")
    assert own.hget(name, "a") is None


def test_a_new_claim_is_announced_anew(store, hearer, ear):
    store.claim(claim_of())
    hearer.announce(ORDER)
    store.release(ORDER, FIRST, "safe", HOUR)
    assert 1 == len(payloads(ear))
    store.claim(claim_of(owner=SECOND))

    store.complete(completion_of(owner=SECOND))

    assert [] == payloads(ear)


def test_the_end_of_awaited_work_takes_one_trip(store, hearer, own):
    completed(store, named("known"))
    store.claim(claim_of())
    hearer.announce(ORDER)
    own.config_resetstat()

    store.complete(completion_of())

    asked = own.info("commandstats")
    assert 1 == asked["cmdstat_evalsha"]["calls"]
    assert 1 == asked["cmdstat_publish"]["calls"]


def test_two_prefixes_hear_nothing_of_each_other(server, store, ear):
    other = RedisStore(server.url, prefix="other")
    other.claim(claim_of())
    listener = waits_for(other)

    other.complete(completion_of())

    assert listener.heard()
    assert [] == payloads(ear)
    listener.close()
    other.close()


def test_who_may_not_publish_completes_all_the_same(own_server):
    own_server.ask(
        "ACL", "SETUSER", "mute", "on", ">word", "~*", "+@all", "resetchannels"
    )
    mute = RedisStore(f"redis://mute:word@127.0.0.1:{own_server.port}/0")
    mute.claim(claim_of())
    assert mute.announce(ORDER)

    done = mute.complete(completion_of())

    assert done is not None
    assert done.result is not None
    mute.close()


def test_whoever_waits_keeps_one_connection_for_all(store, hearer, own):
    names = [named(f"key-{number}") for number in range(30)]
    for name in names:
        store.claim(claim_of(name))
    listeners = [waits_for(hearer, name) for name in names]

    assert 1 == subscribers(own)

    for name in names:
        store.complete(completion_of(name))
    assert all(listener.heard() for listener in listeners)
    for listener in listeners:
        listener.close()


def test_a_lost_connection_is_replaced_and_everybody_looks(store, hearer, own):
    store.claim(claim_of())
    listener = waits_for(hearer)

    own.client_kill_filter(_type="pubsub")

    assert listener.heard()
    listener.in_force()
    assert 1 == subscribers(own)
    store.complete(completion_of())
    assert listener.heard()
    listener.close()


def test_a_server_that_comes_back_is_heard_again(own_server):
    store = RedisStore(own_server.url)
    store.claim(claim_of())
    listener = waits_for(store)
    own_server.kill()
    assert listener.heard()
    assert not listener.watch.in_force

    own_server.start()

    listener.in_force()
    store.complete(completion_of())
    assert listener.heard()
    listener.close()
    store.close()


def test_a_server_that_falls_silent_is_missed(own_server, monkeypatch):
    monkeypatch.setattr(hearing, "ASK_AFTER", 0.3)
    monkeypatch.setattr(hearing, "GONE_AFTER", 1.5)
    store = RedisStore(own_server.url)
    listener = Listener(store).in_force()
    time.sleep(2.0)  # in which it is asked, and answers
    assert listener.watch.in_force

    own_server.pause()

    assert listener.heard()
    assert not listener.watch.in_force
    own_server.resume()
    listener.in_force()
    listener.close()
    store.close()


def test_closing_leaves_neither_thread_nor_subscription(server, own):
    before = set(threading.enumerate())
    store = RedisStore(server.url)
    store.find(ORDER)
    Listener(store).in_force()
    assert "keyonce-news" in {t.name for t in set(threading.enumerate()) - before}

    store.close()

    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert {name for name in left if "keyonce" in name} == set()
    until = time.monotonic() + SOON
    while subscribers(own) and time.monotonic() < until:
        time.sleep(0.02)
    assert 0 == subscribers(own)
    assert store.watch(ORDER, print) is None


def test_a_fork_listens_for_itself(server):
    told = run(
        """
        import threading
        from keyonce.stores.redis import RedisStore
        store = RedisStore(sys.argv[1])
        def hears(store, name):
            store.claim(claim_of(named(name)))
            woken = threading.Event()
            watch = store.watch(named(name), woken.set)
            while not watch.in_force:
                time.sleep(0.005)
            assert store.announce(named(name))
            woken.clear()
            store.complete(completion_of(named(name)))
            return woken.wait(20)
        first = hears(store, "parent")
        if (child := os.fork()) == 0:
            heard = hears(store, "child")
            store.close()
            os._exit(0 if heard else 1)
        _, ended = os.waitpid(child, 0)
        say(first, ended, hears(store, "parent again"))
        store.close()
        """,
        server.url,
    )

    assert ["True 0 True"] == told


def given(kind, request):
    """A client of a user, and what is called to close it."""
    if kind == "cluster":
        return request.getfixturevalue("cluster").client()
    if kind == "sentinel":
        sentinels = request.getfixturevalue("sentinels")
        hosts = [("127.0.0.1", each.port) for each in sentinels.watchers]
        return Sentinel(hosts, socket_timeout=5).master_for(sentinels.service)
    url = request.getfixturevalue("server").url
    return redis.Redis.from_url(url, socket_timeout=5, decode_responses=True)


@pytest.mark.parametrize("kind", ["one", "cluster", "sentinel"])
def test_a_users_client_is_heard_beside(request, kind):
    client = given(kind, request)
    store = RedisStore(client, prefix="given")
    store.claim(claim_of(named(kind)))
    listener = waits_for(store, named(kind))

    store.complete(completion_of(named(kind)))

    assert listener.heard()
    listener.close()
    store.close()
    assert client.ping()
    client.close()


def test_a_users_async_client_is_heard_beside(server):
    client = aioredis.Redis.from_url(server.url)
    store = StorePortal(AsyncRedisStore(client))
    store.claim(claim_of())
    listener = waits_for(store)

    store.complete(completion_of())

    assert listener.heard()
    listener.close()
    store._wait_for(client.aclose())
    store.close()


def test_a_client_that_has_no_twin_is_asked_again_and_again(server):
    class Wrapped:
        def __init__(self, client):
            self._client = client

        def __getattr__(self, name):
            return getattr(self._client, name)

    client = server.client
    store = RedisStore(Wrapped(client))
    store.claim(claim_of())
    listener = Listener(store)
    until = time.monotonic() + SOON
    while store.watch(ORDER, print) is not None:
        assert time.monotonic() < until
        time.sleep(0.01)

    assert not listener.watch.in_force
    listener.close()
    store.close()
    client.close()
