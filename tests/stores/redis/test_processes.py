# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Several real processes on one server, which dies and comes back."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from datetime import timedelta

import pytest

from keyonce.core.errors import StoreUnavailable
from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.stores.redis import RedisStore
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
)
from tests.stores.programs import said, started, tell
from tests.stores.redis.kinds import KINDS, store_of

FOUR = 4
IMPORTS = """
import asyncio
from keyonce.stores.redis import AsyncRedisStore, RedisStore
"""


def in_four_processes(program, url):
    """Start *program* four times, let all begin at once; what each one said."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(started(program, url, number)) for number in range(FOUR)
        ]
        assert ["ready"] * FOUR == [said(each) for each in processes]
        for each in processes:
            tell(each)
        return [said(each) for each in processes]


EQUAL = """
me = int(sys.argv[2])
claims = [claim_of(owner=b"%08d%08d" % (me, number)) for number in range(250)]
"""
DIFFERENT = """
me = int(sys.argv[2])
claims = [
    claim_of(named(f"{me}-{number}"), b"%08d%08d" % (me, number))
    for number in range(2500)
]
"""
ASK = {
    "sync": """
from concurrent.futures import ThreadPoolExecutor
store = RedisStore(sys.argv[1])
store.find(ORDER)
say("ready")
hear()
with ThreadPoolExecutor(4) as pool:
    answers = list(pool.map(store.claim, claims))
store.close()
""",
    "async": """
async def loop():
    store = AsyncRedisStore(sys.argv[1])
    await store.find(ORDER)
    say("ready")
    hear()
    answers = await asyncio.gather(*map(store.claim, claims))
    await store.close()
    return answers
answers = asyncio.run(loop())
""",
}


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_thousand_equal_claims_one_gets_the_key(server, kind):
    told = in_four_processes(
        IMPORTS + EQUAL + ASK[kind] + "say(*{a.record.owner for a in answers})",
        server.url,
    )

    assert 1 == len(set(told))
    store = RedisStore(server.url)
    assert (1, 1) == (record_in(store).executions, len(store.records(Query())))
    store.close()


@pytest.mark.parametrize(("place", "kind"), [("server", "sync"), ("cluster", "async")])
def test_ten_thousand_keys_have_ten_thousand_owners(request, place, kind):
    where = request.getfixturevalue(place)
    where.flush()
    where.force_to_disk("everysec")  # how often is not what this is about
    told = in_four_processes(
        IMPORTS
        + DIFFERENT
        + ASK[kind]
        + "mine = zip(claims, answers, strict=True)\n"
        + "say(sum(c.owner == a.record.owner for c, a in mine))",
        where.url,
    )

    assert ["2500"] * FOUR == told
    store = RedisStore(where.url)
    where.force_to_disk("always")
    assert {Status.IN_PROGRESS: 10_000} == store.stats().counts
    store.close()


WORK = {
    "sync": """
    import threading
    from keyonce.stores.redis import RedisStore
    store = RedisStore(sys.argv[1])
    def insist(verb):
        while True:
            try:
                return verb()
            except StoreUnavailable:
                time.sleep(0.02)
    def work(name):
        number = 0
        while True:
            key = named(f"{name}-{number}")
            owner = os.urandom(16)
            record = insist(lambda: store.claim(claim_of(key, owner))).record
            if record.owner != owner or record.executions != 1:
                say("twice", key.key)
            say("claimed", key.key, owner.hex())
            insist(lambda: store.complete(completion_of(key, owner)))
            say("completed", key.key, owner.hex())
            number += 1
    for number in range(3):
        name = f"{sys.argv[2]}{number}"
        threading.Thread(target=work, args=(name,), daemon=True).start()
    hear()
    os._exit(0)
    """,
    "async": """
    import asyncio
    from keyonce.stores.redis import AsyncRedisStore
    async def insist(store, verb, command):
        while True:
            try:
                return await getattr(store, verb)(command)
            except StoreUnavailable:
                await asyncio.sleep(0.02)
    async def work(store, name):
        number = 0
        while True:
            key = named(f"{name}-{number}")
            owner = os.urandom(16)
            record = (await insist(store, "claim", claim_of(key, owner))).record
            if record.owner != owner or record.executions != 1:
                say("twice", key.key)
            say("claimed", key.key, owner.hex())
            await insist(store, "complete", completion_of(key, owner))
            say("completed", key.key, owner.hex())
            number += 1
    async def main():
        store = AsyncRedisStore(sys.argv[1])
        works = [work(store, f"{sys.argv[2]}{number}") for number in range(3)]
        together = asyncio.gather(*works)
        await asyncio.to_thread(hear)
        os._exit(0)
    asyncio.run(main())
    """,
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_acknowledged_before_a_kill_is_there(own_server, kind):
    acknowledged = []
    with (
        started(WORK[kind], own_server.url, "a") as one,
        started(WORK[kind], own_server.url, "b") as other,
    ):
        for _ in range(3):
            for process in (one, other):
                for _ in range(random.randrange(50, 100)):
                    acknowledged.append(said(process).split())
            own_server.restart()
        for process in (one, other):
            for _ in range(50):
                acknowledged.append(said(process).split())
            process.kill()
            rest = process.stdout.read().split("\n")[:-1]
            acknowledged += [line.split() for line in rest]

    store = RedisStore(own_server.url)
    assert len(acknowledged) >= 400
    assert [] == [line for line in acknowledged if line[0] == "twice"]
    for word, key, owner in acknowledged:
        record = record_in(store, named(key))
        assert (1, owner) == (record.executions, record.owner.hex())
        if word == "completed":
            assert Status.COMPLETED is record.status
            assert record.result is not None
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_gone_is_unavailable_and_loses_nothing(own_server, kind):
    store = store_of(kind, own_server.url)
    done = completed(store)
    store.claim(claim_of(named("running")))
    own_server.kill()

    for verb in (
        lambda: store.claim(claim_of(named("new"))),
        lambda: store.complete(completion_of(named("running"))),
        lambda: store.renew(named("running"), FIRST),
        store.stats,
    ):
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            verb()
    own_server.start()

    assert done == store.claim(claim_of(owner=SECOND)).record
    assert store.renew(named("running"), FIRST) is not None
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_hangs_is_unavailable_in_time(own_server, kind):
    store = store_of(kind, own_server.url, store_timeout=timedelta(seconds=0.3))
    store.claim(claim_of())
    own_server.pause()
    began = time.monotonic()

    with pytest.raises(StoreUnavailable, match="came in time"):
        store.complete(completion_of())

    assert 0.25 < time.monotonic() - began < 2
    own_server.resume()
    assert Status.COMPLETED is store.complete(completion_of()).status
    assert 1 == record_in(store).executions
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_is_made_before_its_server(own_server, kind):
    own_server.stop()
    store = store_of(kind, own_server.url)
    with pytest.raises(StoreUnavailable):
        store.claim(claim_of())

    own_server.start()

    assert FIRST == store.claim(claim_of()).record.owner
    store.close()


def test_a_fork_has_connections_of_its_own(server):
    with started(
        """
        from keyonce.stores.redis import RedisStore
        store = RedisStore(sys.argv[1])
        store.claim(claim_of())
        child = os.fork()
        for number in range(200):
            key = named(f"{bool(child)}-{number}")
            owner = b"%016d" % (2 * number + bool(child))
            assert store.claim(claim_of(key, owner)).record.owner == owner
        if child:
            os.waitpid(child, 0)
            say(sum(store.stats().counts.values()))
        else:
            os._exit(0)
        """,
        server.url,
    ) as process:
        assert "401" == said(process)


def test_two_programs_share_records(server):
    store = RedisStore(server.url)
    with started(
        """
        from keyonce.stores.redis import RedisStore
        store = RedisStore(sys.argv[1])
        hear()
        say(store.claim(claim_of(owner=SECOND)).record.owner.decode())
        hear()
        say(record_in(store).result == ANSWER)
        """,
        server.url,
    ) as other:
        store.claim(claim_of())
        tell(other)
        assert FIRST.decode() == said(other)

        completed(store)
        tell(other)
        assert "True" == said(other)
    assert ORDER == record_in(store).identity
    store.close()
