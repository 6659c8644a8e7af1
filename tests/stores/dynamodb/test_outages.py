# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A server that falls silent, dies, and comes back.

It is moto, which forgets everything when it dies: that DynamoDB itself keeps what
it acknowledged is Amazon's word and is not tried here.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import boto3
import pytest

from keyonce.core.errors import StoreError, StoreUnavailable
from keyonce.stores.dynamodb import DynamoDBStore, create_table
from keyonce.stores.dynamodb.aio import AsyncDynamoDBStore
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
)
from tests.servers.moto import REGION, Moto, need_moto

PATIENCE = timedelta(seconds=2)


@pytest.fixture
def fragile():
    """A server of this test's own, which it may kill."""
    need_moto()
    server = Moto().start()
    yield server
    server.stop()


def prepare(server):
    client = boto3.client("dynamodb", endpoint_url=server.endpoint, region_name=REGION)
    create_table(client, "keyonce")
    client.close()


def test_silence_and_death_are_told_in_time_and_a_return_is_noticed(fragile):
    prepare(fragile)
    store = DynamoDBStore(fragile.url("keyonce"), store_timeout=PATIENCE)
    done = completed(store)

    fragile.pause()
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match="busy or gone"):
        store.claim(claim_of(named("silent")))
    silent_for = time.monotonic() - begun
    fragile.resume()
    after_silence = record_in(store)

    fragile.kill()
    with pytest.raises(StoreUnavailable, match="busy or gone"):
        store.renew(ORDER, FIRST)
    fragile.start()
    with pytest.raises(StoreUnavailable, match="no table"):
        store.claim(claim_of())
    prepare(fragile)
    claimed = store.claim(claim_of()).record
    store.close()

    assert done == after_silence
    assert silent_for < 2 * PATIENCE.total_seconds()
    assert FIRST == claimed.owner


async def test_an_async_store_is_told_as_well(fragile):
    prepare(fragile)
    store = AsyncDynamoDBStore(fragile.url("keyonce"), store_timeout=PATIENCE)
    await store.claim(claim_of())

    fragile.pause()
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match="busy or gone"):
        await store.complete(completion_of())
    silent_for = time.monotonic() - begun
    fragile.resume()
    done = await store.complete(completion_of())
    fragile.kill()
    with pytest.raises(StoreUnavailable):
        await store.find(ORDER)
    await store.close()

    assert silent_for < 2 * PATIENCE.total_seconds()
    assert done is not None
    assert FIRST == done.owner


def test_silence_under_load_loses_nothing_and_gives_no_key_twice(fragile):
    prepare(fragile)
    store = DynamoDBStore(fragile.url("keyonce"), store_timeout=timedelta(seconds=2))
    given, ended, failed, over = [], [], [], threading.Event()

    def work(me):
        for number in range(100_000):
            if over.is_set():
                return
            key, owner = named(str(number)), b"%016d" % (number * 10 + me)
            try:
                if store.claim(claim_of(key, owner)).record.owner != owner:
                    continue
                given.append(key)
                if store.complete(completion_of(key, owner)):
                    ended.append(key)
            except StoreError:
                failed.append(key)

    threads = [threading.Thread(target=work, args=(me,)) for me in range(4)]
    for thread in threads:
        thread.start()
    for turn in (1, 2):
        wait_for(lambda: len(given) >= 10 * turn)  # noqa: B023 - used at once
        fragile.pause()
        wait_for(lambda: len(failed) >= 4 * turn)  # noqa: B023 - used at once
        fragile.resume()
    wait_for(lambda: len(given) >= 30)
    over.set()
    for thread in threads:
        thread.join()
    lost = [key for key in ended if record_in(store, key).result is None]
    store.close()

    assert len(set(given)) == len(given)
    assert [] == lost


def wait_for(progress):
    until = time.monotonic() + 60
    while not progress():
        assert time.monotonic() < until
        time.sleep(0.02)
