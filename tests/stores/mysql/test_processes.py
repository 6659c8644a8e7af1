# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Several real processes on one database, and a server that dies under them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import ExitStack
from textwrap import dedent

import pytest

from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.stores.mysql import MySQLStore
from keyonce.testing.store_scenarios.cases import claim_of, named, record_in
from tests.stores.programs import said, started, tell

FOUR = 4
IMPORTS = "from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore\n"


def in_four_processes(program, url):
    """Start *program* four times, let all begin at once; what each one said."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(started(IMPORTS + dedent(program), url, number))
            for number in range(FOUR)
        ]
        assert ["ready"] * FOUR == [said(each) for each in processes]
        for each in processes:
            tell(each)
        return [said(each) for each in processes]


def deadlocks(server):
    return int(server.ask("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")[0][1])


def test_of_a_thousand_equal_claims_one_gets_the_key(url):
    told = in_four_processes(
        """
        from concurrent.futures import ThreadPoolExecutor
        store = MySQLStore(sys.argv[1])
        me = int(sys.argv[2])
        claims = [claim_of(owner=b"%08d%08d" % (me, n)) for n in range(250)]
        say("ready")
        hear()
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(store.claim, claims))
        say(*{answer.record.owner for answer in answers})
        """,
        url,
    )

    assert 1 == len(set(told))
    store = MySQLStore(url)
    assert (1, 1) == (record_in(store).executions, len(store.records(Query())))
    store.close()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_ten_thousand_keys_have_ten_thousand_owners(server, url, kind):
    before = deadlocks(server)
    told = in_four_processes(
        """
        import asyncio
        me = int(sys.argv[2])
        claims = [
            claim_of(named(f"{me}-{number}"), b"%08d%08d" % (me, number))
            for number in range(2500)
        ]
        def threads():
            from concurrent.futures import ThreadPoolExecutor
            store = MySQLStore(sys.argv[1])
            say("ready")
            hear()
            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(store.claim, claims))
        async def loop():
            store = AsyncMySQLStore(sys.argv[1])
            say("ready")
            hear()
            answers = []
            for at in range(0, 2500, 50):
                batch = claims[at : at + 50]
                answers += await asyncio.gather(*map(store.claim, batch))
            await store.close()
            return answers
        answers = KIND
        mine = zip(claims, answers, strict=True)
        say(sum(c.owner == a.record.owner for c, a in mine))
        """.replace("KIND", "threads()" if kind == "sync" else "asyncio.run(loop())"),
        url,
    )

    assert ["2500"] * FOUR == told
    assert before == deadlocks(server)
    store = MySQLStore(url)
    assert {Status.IN_PROGRESS: 10_000} == store.stats().counts
    store.close()


def test_a_hundred_keys_at_once_meet_no_deadlock(server, url):
    """Gaps between keys are nobody's (F-41)."""
    before = deadlocks(server)
    store = MySQLStore(url, pool_size=100)
    ready = threading.Barrier(100)

    def work(number):
        ready.wait(timeout=60)
        owner = b"%016d" % number
        for turn in range(3):
            key = named(f"{turn}-{number}")
            got = store.claim(claim_of(key, owner)).record.owner
            won.append(got == owner)
            store.release(key, owner, "safe", 60.0)

    won: list[bool] = []
    threads = [threading.Thread(target=work, args=(n,)) for n in range(100)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert [True] * 300 == won
    assert before == deadlocks(server)
    store.close()


WORKER = """
    import threading, secrets
    from keyonce.core.errors import StoreUnavailable
    store = MySQLStore(sys.argv[1], store_timeout=timedelta(seconds=5))
    stop = threading.Event()
    def patiently(step):
        while not stop.is_set():
            try:
                return step()
            except StoreUnavailable:
                time.sleep(0.05)
    def work():
        number = 0
        while not stop.is_set():
            key, owner = named(f"shared-{number}"), secrets.token_bytes(16)
            answer = patiently(lambda: store.claim(claim_of(key, owner)))
            if answer is not None and answer.record.owner == owner:
                say("claimed", key.key)
                done = patiently(lambda: store.complete(completion_of(key, owner)))
                if done is not None and done.owner == owner:
                    say("completed", key.key)
            number += 1
    for _ in range(2):
        threading.Thread(target=work).start()
    hear()
    stop.set()
"""


def test_what_was_acknowledged_before_the_server_was_killed_is_there(own_server):
    server = own_server
    url = server.database("keyonce")
    MySQLStore(url).close()
    with ExitStack() as stack:
        processes = [
            stack.enter_context(started(IMPORTS + dedent(WORKER), url, number))
            for number in range(3)
        ]
        first = [said(each).split() for each in processes for _ in range(50)]
        for _ in range(2):
            server.kill()
            server.start()
            time.sleep(1)
        for each in processes:
            tell(each)
        rest = [
            line.split()
            for each in processes
            for line in each.stdout.read().split("\n")[:-1]
        ]

    told = Counter((word, key) for word, key in [*first, *rest])
    claimed = {key for word, key in told if word == "claimed"}
    store = MySQLStore(url)
    assert len(claimed) > 100
    assert {1} == set(told.values()), "a key had two owners"
    for word, key in told:
        record = record_in(store, named(key))
        assert 1 == record.executions
        if word == "completed":
            assert Status.COMPLETED is record.status
            assert record.result is not None
    store.close()
