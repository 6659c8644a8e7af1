# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Clients that are handed in: whatever they are set to, and to whom they belong."""

from __future__ import annotations

import asyncio

import pytest
import redis
import redis.asyncio
import valkey
import valkey.asyncio

from keyonce.core.errors import ConfigurationError
from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.stores.redis import AsyncRedisStore, RedisStore
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
    settlement_of,
)

CLIENTS = {
    "plain": lambda port: redis.Redis(port=port),
    "decoding": lambda port: redis.Redis(port=port, decode_responses=True),
    "RESP 3": lambda port: redis.Redis(port=port, protocol=3, decode_responses=True),
    "a bounded pool": lambda port: redis.Redis.from_pool(
        redis.BlockingConnectionPool(port=port, max_connections=2)
    ),
    "one connection": lambda port: redis.Redis(
        port=port, single_connection_client=True
    ),
    "valkey-py": lambda port: valkey.Valkey(port=port),
}
ASYNC_CLIENTS = {
    "plain": lambda port: redis.asyncio.Redis(port=port),
    "decoding": lambda port: redis.asyncio.Redis(port=port, decode_responses=True),
    "RESP 3": lambda port: redis.asyncio.Redis(
        port=port, protocol=3, decode_responses=True
    ),
    "a bounded pool": lambda port: redis.asyncio.Redis.from_pool(
        redis.asyncio.BlockingConnectionPool(port=port, max_connections=2)
    ),
    "valkey-py": lambda port: valkey.asyncio.Valkey(port=port),
}


@pytest.mark.parametrize("make", list(CLIENTS.values()), ids=list(CLIENTS))
def test_any_client_will_do(server, make):
    client = make(server.port)
    store = RedisStore(client)

    done = completed(store)
    store.claim(claim_of(named("lost")))
    store.abandon(named("lost"), FIRST, "crashed")
    store.settle(settlement_of(named("lost")))

    assert done == record_in(store)
    assert 1 == len(store.audits())
    assert {Status.COMPLETED: 1, Status.RELEASED: 1} == store.stats().counts
    assert 2 == len(store.records(Query()))
    assert 0 == store.purge()
    server.ask("SCRIPT", "FLUSH")
    assert done == record_in(store)
    assert all(each.level == "ok" for each in store.examine())
    store.close()
    assert client.ping()
    client.close()


@pytest.mark.parametrize("make", list(ASYNC_CLIENTS.values()), ids=list(ASYNC_CLIENTS))
def test_any_async_client_will_do(server, make):
    async def story():
        client = make(server.port)
        store = AsyncRedisStore(client)
        await asyncio.gather(*[store.claim(claim_of(named(str(n)))) for n in range(40)])
        done = await store.complete(completion_of(named("7")))
        server.ask("SCRIPT", "FLUSH")
        renewed = await asyncio.to_thread(store.blocking().renew, named("8"), FIRST)
        freed = await store.release(named("9"), FIRST, "safe", HOUR)
        found = await store.find(named("7"))
        counts = (await store.stats()).counts
        await store.close()
        alive = await client.ping()
        await client.aclose()
        assert found is not None
        assert renewed is not None
        return done == found.record, renewed.owner, freed, counts, alive

    counts = {Status.IN_PROGRESS: 38, Status.COMPLETED: 1, Status.RELEASED: 1}
    assert (True, FIRST, True, counts, True) == asyncio.run(story())


def test_clients_of_a_cluster_and_of_sentinels_will_do(cluster, sentinels):
    def of_cluster(kind):
        nodes = [kind.cluster.ClusterNode("127.0.0.1", n.port) for n in cluster.nodes]
        return kind.RedisCluster(startup_nodes=nodes, decode_responses=True)

    def of_sentinels(kind):
        hosts = [("127.0.0.1", each.port) for each in sentinels.watchers]
        watching = kind.sentinel.Sentinel(hosts)
        return watching.master_for(sentinels.service), watching

    async def story(make):
        made = make(redis.asyncio)
        client, watching = made if isinstance(made, tuple) else (made, None)
        store = AsyncRedisStore(client)
        done = await store.complete(completion_of())
        renewed = await asyncio.to_thread(store.blocking().renew, named("2"), FIRST)
        counts = (await store.stats()).counts
        await store.close()
        await client.aclose()
        for each in watching.sentinels if watching else ():
            await each.aclose()
        assert done is not None
        assert renewed is not None
        return done.result, renewed.owner, counts

    for where, make in ((cluster, of_cluster), (sentinels, of_sentinels)):
        where.flush()
        made = make(redis)
        client, watching = made if isinstance(made, tuple) else (made, None)
        store = RedisStore(client)
        store.claim(claim_of())
        store.claim(claim_of(named("2")))
        assert ORDER == record_in(store).identity
        told = asyncio.run(story(make))
        assert (ANSWER, FIRST, {Status.COMPLETED: 1, Status.IN_PROGRESS: 1}) == told
        store.close()
        client.close()
        for each in watching.sentinels if watching else ():
            each.close()


def test_a_client_that_nobody_knows_is_refused_at_once():
    class Strange:
        """No client of a package that we know."""

    with pytest.raises(ConfigurationError, match=r"Strange.*redis\.asyncio"):
        AsyncRedisStore(Strange())
