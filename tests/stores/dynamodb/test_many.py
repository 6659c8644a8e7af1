# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Many processes and many threads on one table.

Moto answers one request at a time here, as DynamoDB does for one item; these tests
say that no command of ours rests on what was read before. They prove nothing about
DynamoDB's own concurrency.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.stores.dynamodb import DynamoDBStore
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completion_of,
    named,
    pass_lease,
    record_in,
)
from tests.stores.programs import said, started, tell

FOUR = 4
KEYS = int(os.environ.get("KEYONCE_DYNAMODB_KEYS", "200"))  # moto serves some 200/s


def in_four_processes(program, *args):
    with ExitStack() as stack:
        processes = [
            stack.enter_context(started(program, number, *args))
            for number in range(FOUR)
        ]
        assert ["ready"] * FOUR == [said(each) for each in processes]
        for each in processes:
            tell(each)
        return [said(each) for each in processes]


def test_of_a_thousand_equal_claims_one_gets_the_key(moto, table, store):
    told = in_four_processes(
        """
        from concurrent.futures import ThreadPoolExecutor
        from keyonce.stores.dynamodb import DynamoDBStore
        me, patient = int(sys.argv[1]), timedelta(seconds=60)
        store = DynamoDBStore(sys.argv[2], store_timeout=patient)
        claims = [claim_of(owner=b"%08d%08d" % (me, n)) for n in range(250)]
        say("ready")
        hear()
        with ThreadPoolExecutor(4) as pool:
            owned = {each.record.owner for each in pool.map(store.claim, claims)}
        say(*owned)
        """,
        moto.url(table),
    )

    assert 1 == len(set(told))
    assert 1 == record_in(store).executions
    assert 1 == len(store.records(Query()))


@pytest.mark.timeout(600)
def test_different_keys_have_as_many_owners(moto, client, table):
    told = in_four_processes(
        """
        import asyncio
        from keyonce.stores.dynamodb.aio import AsyncDynamoDBStore
        me, each = int(sys.argv[1]), int(sys.argv[3])
        patient = timedelta(seconds=60)
        claims = [
            claim_of(named(f"{me}-{number}"), b"%08d%08d" % (me, number))
            for number in range(each)
        ]
        async def main():
            store = AsyncDynamoDBStore(sys.argv[2], store_timeout=patient)
            await store.find(ORDER)
            say("ready")
            hear()
            owned = 0
            for at in range(0, each, 10):
                batch = claims[at : at + 10]
                answers = await asyncio.gather(*map(store.claim, batch))
                owned += sum(
                    c.owner == a.record.owner
                    for c, a in zip(batch, answers, strict=True)
                )
            await store.close()
            say(owned)
        asyncio.run(main())
        """,
        moto.url(table),
        KEYS // FOUR,
    )

    assert [str(KEYS // FOUR)] * FOUR == told
    stats = DynamoDBStore(table, client=client).stats()
    assert KEYS == sum(stats.counts.values())


def at_once(works):
    ready = threading.Barrier(len(works))

    def begin(work):
        ready.wait(timeout=30)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begin, works))


def test_threads_that_race_in_every_verb_move_one_record_forward(store, clock):
    """Claims, renewals, ends and takeovers of one key, all at once, many times."""
    again = Guarantee.AT_LEAST_ONCE
    for turn in range(10):
        key = named(f"race-{turn}")
        first = store.claim(claim_of(key, guarantee=again)).record
        pass_lease(clock)
        works: list[Callable[[], object]]
        takeovers = [
            claim_of(
                key,
                b"%016d" % number,
                guarantee=again,
                witnessed=first.lease_until,
            )
            for number in range(6)
        ]
        works = [partial(store.claim, each) for each in takeovers]
        works += [partial(store.renew, key, FIRST)] * 2
        works += [partial(store.complete, completion_of(key))] * 2
        works += [partial(store.release, key, FIRST, "safe", None)]

        at_once(works)
        record = record_in(store, key)

        match record.status:
            case Status.COMPLETED:  # the owner ended it in time
                assert (FIRST, 1) == (record.owner, record.executions)
            case Status.RELEASED:
                assert (FIRST, 1) == (record.owner, record.executions)
            case Status.IN_PROGRESS if record.owner == FIRST:  # it renewed in time
                assert first.lease_until < record.lease_until
                assert 1 == record.executions
            case Status.IN_PROGRESS:
                assert 2 == record.executions
            case other:
                pytest.fail(f"{other} is no way this can end")


def test_a_reader_that_knows_the_key_and_a_stranger_do_not_both_begin(
    client, table, clock
):
    """One reads first, one writes first; one of them owns the key."""
    stores = [DynamoDBStore(table, client=client, clock=clock) for _ in range(2)]
    for turn in range(20):
        key = named(f"turn-{turn}")
        stores[0].claim(claim_of(key))
        stores[0].release(key, FIRST, "safe", None)

        owners = at_once(
            [
                partial(stores[0].claim, claim_of(key, b"knows the key   ")),
                partial(stores[1].claim, claim_of(key, b"is a stranger   ")),
            ]
        )

        assert 1 == len({answer.record.owner for answer in owners})
        assert {2} == {answer.record.executions for answer in owners}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_fork_has_connections_of_its_own(moto, table):
    store = DynamoDBStore(moto.url(table))
    store.claim(claim_of())
    reading, writing = os.pipe()

    child = os.fork()
    if child == 0:
        try:
            claimed = [
                store.claim(claim_of(named(f"child-{n}"), SECOND)).record.owner
                for n in range(20)
            ]
            os.write(writing, str(len(claimed)).encode())
        finally:
            os._exit(0)
    mine = [store.claim(claim_of(named(f"mine-{n}"))).record.owner for n in range(20)]
    os.waitpid(child, 0)
    told = os.read(reading, 100)
    store.close()

    assert b"20" == told
    assert [FIRST] * 20 == mine
    assert FIRST == record_in(DynamoDBStore(moto.url(table)), ORDER).owner
