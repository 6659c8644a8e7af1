# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Many tasks of one loop over few connections."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from keyonce.core.errors import RecordUnreadable, StoreUnavailable
from keyonce.core.model import StoredResult
from keyonce.stores.redis import AsyncRedisStore
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completion_of,
    named,
)


@pytest.fixture
async def store(server):
    store = AsyncRedisStore(server.url)
    await store.find(ORDER)
    yield store
    await store.close()


def token(number):
    return b"task-%011d" % number


async def test_a_thousand_tasks_need_two_connections(store, server):
    before = server.ask("INFO", "clients")["connected_clients"]
    claims = [claim_of(named(str(n)), token(n)) for n in range(1000)]

    answers = await asyncio.gather(*map(store.claim, claims))

    assert [each.owner for each in claims] == [a.record.owner for a in answers]
    assert server.ask("INFO", "clients")["connected_clients"] <= before + 1


async def test_tasks_that_wait_travel_together(store, server):
    with server.client as client:
        client.config_resetstat()
        claims = [claim_of(named(str(n)), token(n)) for n in range(300)]
        await asyncio.gather(*map(store.claim, claims))
        stats = client.info("stats")

    assert 300 <= stats["total_commands_processed"] // 4
    assert stats["total_reads_processed"] < 60


async def test_a_flight_of_tasks_survives_forgotten_scripts(store, server):
    server.ask("SCRIPT", "FLUSH")
    claims = [claim_of(named(str(n)), token(n)) for n in range(100)]

    answers = await asyncio.gather(*map(store.claim, claims))

    assert [each.owner for each in claims] == [a.record.owner for a in answers]


async def test_what_fails_for_one_fails_for_one(store, server):
    server.ask("SET", "keyonce:r:{5:alice12:POST /orders2:17}", "theirs")
    works = [store.claim(claim_of(named(str(n)), token(n))) for n in range(40)]

    answers = await asyncio.gather(*works, return_exceptions=True)

    failed = [n for n, each in enumerate(answers) if isinstance(each, Exception)]
    assert [17] == failed
    assert isinstance(answers[17], RecordUnreadable)


async def test_cancelled_tasks_take_nobody_along(store):
    tasks = [
        asyncio.create_task(store.claim(claim_of(named(str(n)), token(n))))
        for n in range(60)
    ]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()

    answers = await asyncio.gather(*tasks, return_exceptions=True)

    for number, answer in enumerate(answers):
        if number % 3 == 0:
            assert isinstance(answer, asyncio.CancelledError)
        else:
            assert not isinstance(answer, BaseException)
            assert token(number) == answer.record.owner
    assert FIRST == (await store.claim(claim_of())).record.owner


async def test_after_a_hang_the_lanes_are_free_again(own_server):
    store = AsyncRedisStore(own_server.url, store_timeout=timedelta(seconds=0.3))
    await store.find(ORDER)
    own_server.pause()
    works = [store.claim(claim_of(named(str(n)), token(n))) for n in range(20)]

    answers = await asyncio.gather(*works, return_exceptions=True)
    own_server.resume()
    again = [store.claim(claim_of(named(str(n)), token(n))) for n in range(20)]

    assert {StoreUnavailable} == {type(each) for each in answers}
    owners = [answer.record.owner for answer in await asyncio.gather(*again)]
    assert [token(n) for n in range(20)] == owners
    await store.close()


async def test_large_and_small_travel_side_by_side(store):
    body = bytes(range(256)) * (4 * 1024 * 1024 // 256)
    large = StoredResult(200, (), body, size=len(body))
    for number in range(4):
        await store.claim(claim_of(named(f"large-{number}")))

    await asyncio.gather(
        *[
            store.complete(completion_of(named(f"large-{n}"), result=large))
            for n in range(4)
        ],
        *[store.claim(claim_of(named(str(n)), token(n))) for n in range(100)],
    )

    for number in range(4):
        told = await store.claim(claim_of(named(f"large-{number}"), SECOND))
        assert large == told.record.result
