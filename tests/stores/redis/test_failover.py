# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What is promised when another server takes over, and what is not."""

from __future__ import annotations

import time

import pytest

from keyonce.core.errors import StoreUnavailable
from keyonce.core.states import Status
from keyonce.stores.redis import RedisStore
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    SECOND,
    claim_of,
    completed,
    named,
    record_in,
)
from tests.servers.programs import wait_until
from tests.servers.redis import RedisCluster, Sentinels, redis_program
from tests.stores.redis.kinds import KINDS, store_of


def insisted(verb, *, within=40.0):
    """Ask as the guard does: again, while the store does not answer."""
    deadline = time.monotonic() + within
    while True:
        try:
            return verb()
        except StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _completed(store, identity):
    """A record on a cluster that may think for a moment that a server is gone."""
    return insisted(lambda: completed(store, identity))


@pytest.mark.parametrize("kind", KINDS)
def test_a_claim_that_no_replica_heard_of_may_run_twice(tmp_path, kind):
    """The documented outcome: what was copied holds, what was not runs again."""
    sentinels = Sentinels(redis_program(), tmp_path)
    try:
        sentinels.start()
        store = store_of(kind, sentinels.url)
        done = completed(store, named("copied"))
        with sentinels.primary.client as client:
            client.wait(1, 2000)
            sentinels.replica.pause()
            client.execute_command("CLIENT", "KILL", "TYPE", "replica")
        first = store.claim(claim_of(named("alone"))).record
        sentinels.primary.kill()
        sentinels.replica.resume()
        wait_until(sentinels.has_failed_over, "The failover")

        again = insisted(lambda: store.claim(claim_of(named("alone"), SECOND))).record

        assert (FIRST, 1) == (first.owner, first.executions)
        assert (SECOND, 1) == (again.owner, again.executions)
        assert done == record_in(store, named("copied"))
        assert done == store.claim(claim_of(named("copied"), SECOND)).record
        store.close()
    finally:
        sentinels.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_the_rest_of_a_cluster_goes_on_without_one_server(tmp_path, kind):
    cluster = RedisCluster(redis_program(), tmp_path)
    try:
        cluster.start()
        for node in cluster.nodes:
            node.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
        store = store_of(kind, cluster.url)
        done = {str(n): _completed(store, named(str(n))) for n in range(30)}
        lost = cluster.primaries[1]
        gone = {n for n in done if _is_on(cluster, n, lost)}
        lost.kill()

        for number in sorted(done):
            if number in gone:
                with pytest.raises(StoreUnavailable):
                    store.claim(claim_of(named(number), SECOND))
            else:
                told = insisted(
                    lambda n=number: store.claim(claim_of(named(n), SECOND))
                )
                assert done[number] == told.record
        lost.start()

        assert 0 < len(gone) < 30
        for number, record in done.items():
            told = insisted(lambda n=number: store.claim(claim_of(named(n), SECOND)))
            assert record == told.record
        store.close()
    finally:
        cluster.stop()


def _is_on(cluster, number, node):
    with cluster.client() as client:
        key = f"keyonce:r:{{5:alice12:POST /orders{len(number)}:{number}}}"
        return client.get_node_from_key(key).port == node.port


def test_in_a_cluster_a_replica_takes_over(tmp_path):
    cluster = RedisCluster(redis_program(), tmp_path, replicas=1)
    try:
        cluster.start()
        store = RedisStore(cluster.url)
        done = {str(n): _completed(store, named(str(n))) for n in range(30)}
        for node in cluster.primaries:
            with node.client as client:
                client.wait(1, 2000)

        cluster.primaries[0].kill()

        for number, record in done.items():
            told = insisted(lambda n=number: store.claim(claim_of(named(n), SECOND)))
            assert record == told.record
        new = insisted(lambda: store.claim(claim_of(named("new")))).record
        assert Status.IN_PROGRESS is new.status
        assert 31 == sum(insisted(store.stats).counts.values())
        store.close()
    finally:
        cluster.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_slots_that_move_are_followed(cluster, kind):
    cluster.flush()
    store = store_of(kind, cluster.url)
    done = completed(store)
    key = "keyonce:r:{5:alice12:POST /orders7:order-1}"
    source, target = _move(cluster, key)

    told = store.claim(claim_of(owner=SECOND)).record

    assert done == told
    assert source.port != target.port
    assert 1 == sum(store.stats().counts.values())
    store.close()


def _move(cluster, key):
    """Move the slot of *key* to the next primary."""
    slot = cluster.nodes[0].ask("CLUSTER", "KEYSLOT", key)
    with cluster.client() as client:
        port = client.get_node_from_key(key).port
    at = next(n for n, node in enumerate(cluster.primaries) if node.port == port)
    source, target = cluster.primaries[at], cluster.primaries[(at + 1) % 3]
    ids = [node.ask("CLUSTER", "MYID").decode() for node in (source, target)]
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    source.ask("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
    for node in (target, source):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
    return source, target
