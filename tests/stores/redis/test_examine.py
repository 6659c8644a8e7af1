# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""For which settings a server is refused, and what doctor says of it."""

from __future__ import annotations

import pytest
import redis

from keyonce.core.errors import ConfigurationError
from keyonce.stores.redis import RedisStore
from keyonce.stores.redis.findings import Facts, findings_of
from keyonce.testing.store_scenarios.cases import ORDER, claim_of, named
from tests.servers.redis import RedisServer, redis_program, valkey_program
from tests.stores.redis.kinds import KINDS, store_of


def levels(store):
    return {each.subject: each.level for each in store.examine()}


def test_a_durable_server_is_sound(any_server):
    store = RedisStore(any_server.url)

    assert {
        "version": "ok",
        "role": "ok",
        "eviction": "ok",
        "durability": "ok",
        "failover": "ok",
        "memory": "ok",
        "largest outcome": "ok",
        "clock": "ok",
        "privileges": "ok",
    } == levels(store)
    store.close()


def test_the_make_is_told(any_server):
    store = RedisStore(any_server.url)
    make = "Valkey" if any_server.program == valkey_program() else "Redis"

    assert store.examine()[0].detail.startswith(make)
    store.close()


@pytest.fixture
def setting(server):
    """Change settings of the shared server for one test."""
    before: dict[str, str] = {}

    def change(name, value):
        with server.client as client:
            before.setdefault(name, client.config_get(name)[name])
            client.config_set(name, value)

    yield change
    with server.client as client:
        for name, value in before.items():
            client.config_set(name, value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
        ("maxmemory-policy", "volatile-lru", "noeviction"),
        ("maxmemory-policy", "volatile-ttl", "noeviction"),
        ("appendonly", "no", "durability=declared"),
        ("proto-max-bulk-len", "1mb", "proto-max-bulk-len"),
    ],
)
def test_a_server_that_forgets_is_refused(server, setting, kind, name, value, sentence):
    setting(name, value)
    store = store_of(kind, server.url)

    for verb in (
        lambda: store.claim(claim_of()),
        lambda: store.find(ORDER),
        store.stats,
        lambda: (
            store.blocking().renew(ORDER, b"") if kind == "async" else store.purge()
        ),
    ):
        with pytest.raises(ConfigurationError, match=sentence):
            verb()

    assert "error" in levels(store).values()
    assert 0 == server.ask("DBSIZE")
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_refused_is_looked_at_again(server, setting, kind):
    setting("maxmemory-policy", "allkeys-lru")
    store = store_of(kind, server.url)
    with pytest.raises(ConfigurationError):
        store.claim(claim_of())

    setting("maxmemory-policy", "noeviction")

    assert ORDER == store.claim(claim_of()).record.identity
    store.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("appendfsync", "everysec"),
        ("appendfsync", "no"),
        ("no-appendfsync-on-rewrite", "yes"),
    ],
)
def test_a_weaker_append_only_file_is_a_warning(server, setting, kind, name, value):
    setting(name, value)
    store = store_of(kind, server.url)

    assert "warning" == levels(store)["durability"]
    assert ORDER == store.claim(claim_of()).record.identity
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_no_persistence_is_declared(server, setting, kind):
    setting("appendonly", "no")
    by_url = store_of(kind, f"{server.url}?durability=declared")
    by_word = store_of(kind, server.url, durability="declared")

    for number, store in enumerate((by_url, by_word)):
        assert "warning" == levels(store)["durability"]
        assert store.claim(claim_of(named(str(number)))).record.executions == 1
        store.close()


def test_eviction_cannot_be_declared_away(server, setting):
    setting("maxmemory-policy", "allkeys-lru")
    store = RedisStore(server.url, durability="declared")

    with pytest.raises(ConfigurationError, match="noeviction"):
        store.claim(claim_of())
    store.close()


@pytest.fixture
def user(server):
    """A user who may do what keyonce needs, and nothing else."""
    with server.client as client:
        client.acl_setuser(
            "kay",
            enabled=True,
            passwords=["+pa:ss@word"],
            keys=["keyonce:*"],
            commands=[
                *("+evalsha", "+eval", "+time", "+hmget", "+hset", "+hdel", "+hstrlen"),
                *("+pexpire", "+persist", "+del", "+unlink", "+lpush", "+lrange"),
                *("+scan", "+info", "+memory|usage", "+ping", "+client"),
            ],
        )
        yield "kay:pa%3Ass%40word"
        client.acl_deluser("kay")


@pytest.mark.parametrize("kind", KINDS)
def test_settings_that_cannot_be_read_are_declared(server, user, kind):
    url = f"redis://{user}@127.0.0.1:{server.port}"
    refused = store_of(kind, url)
    declared = store_of(kind, f"{url}?durability=declared")

    with pytest.raises(ConfigurationError, match=r"CONFIG.*durability=declared"):
        refused.claim(claim_of())

    assert ORDER == declared.claim(claim_of()).record.identity
    assert ("ok", "warning") == (
        levels(declared)["eviction"],  # INFO tells that
        levels(declared)["durability"],
    )
    assert 1 == sum(declared.stats().counts.values())
    refused.close()
    declared.close()


def test_a_replica_is_refused(server, tmp_path):
    replica = RedisServer(redis_program(), tmp_path).start()
    try:
        replica.ask("REPLICAOF", "127.0.0.1", server.port)
        store = RedisStore(replica.url)

        with pytest.raises(ConfigurationError, match="replica"):
            store.claim(claim_of())
        store.close()
    finally:
        replica.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_memory_refuses_work_and_answers_retries(server, setting, kind):
    store = store_of(kind, server.url)
    store.claim(claim_of())
    setting("maxmemory", "1mb")

    with pytest.raises(Exception, match="memory is full") as full:
        store.claim(claim_of(named("other")))

    assert "StoreUnavailable" == type(full.value).__name__
    assert ORDER == store.claim(claim_of()).record.identity
    assert "warning" == levels(store)["memory"]
    setting("maxmemory", "0")
    assert store.claim(claim_of(named("other"))).record.executions == 1
    store.close()


INFO = {"redis_version": "7.0.15", "role": "master", "maxmemory_policy": "noeviction"}
SETTINGS = {"maxmemory-policy": "noeviction", "appendonly": "yes"}


def judged(subject, *, settings=SETTINGS, apart=0.0, durability="checked", **info):
    facts = Facts("", INFO | info, settings, apart)
    found = {each.subject: each for each in findings_of([facts], durability)}
    return found[subject]


def test_old_servers_are_refused():
    assert "error" == judged("version", redis_version="5.0.14").level
    assert "ok" == judged("version", redis_version="6.0.0").level


def test_a_clock_far_away_is_told():
    assert "warning" == judged("clock", apart=-90.0).level
    assert "ok" == judged("clock", apart=30.0).level


def test_replicas_are_told():
    assert "warning" == judged("failover", connected_slaves=2).level
    assert "warning" == judged("failover", cluster_enabled=1).level


def test_a_failing_disk_is_an_error_whatever_is_declared():
    found = judged("durability", aof_last_write_status="err", durability="declared")

    assert "error" == found.level


def test_a_policy_that_nobody_tells_is_declared():
    silent = {"settings": None, "maxmemory_policy": None}

    assert "error" == judged("eviction", **silent).level
    assert "warning" == judged("eviction", **silent, durability="declared").level


def test_every_primary_of_a_cluster_is_looked_at(cluster):
    cluster.flush()
    store = RedisStore(cluster.url)
    assert 3 * 8 + len({"privileges"}) == len(levels(store))
    cluster.primaries[2].ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    refused = RedisStore(cluster.url)

    try:
        with pytest.raises(ConfigurationError, match=str(cluster.primaries[2].port)):
            refused.claim(claim_of())
    finally:
        cluster.primaries[2].ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        store.close()
        refused.close()


def test_the_driver_is_the_one_that_is_tested():
    assert 5 <= int(redis.__version__.partition(".")[0]) < 9
