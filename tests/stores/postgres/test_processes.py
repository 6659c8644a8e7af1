# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Several real processes on one server, and a server that dies under them."""

from __future__ import annotations

import random
import threading
import time
from contextlib import ExitStack

import pytest

from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.stores.postgres import PostgresStore
from keyonce.testing.store_scenarios.cases import named, record_in
from tests.servers.postgres import PostgresServer, newest
from tests.stores.programs import said, started, tell

FOUR = 4
IMPORTS = """
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
import asyncio, threading
from concurrent.futures import ThreadPoolExecutor
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


def test_of_a_thousand_equal_claims_one_gets_the_key(url):
    told = in_four_processes(
        IMPORTS
        + """
store = PostgresStore(sys.argv[1])
me = int(sys.argv[2])
say("ready")
hear()
claims = [claim_of(owner=b"%08d%08d" % (me, number)) for number in range(250)]
with ThreadPoolExecutor(4) as pool:
    owned = {claimed.record.owner for claimed in pool.map(store.claim, claims)}
say(*owned)
store.close()
""",
        url,
    )

    assert 1 == len(set(told))
    store = PostgresStore(url)
    assert (1, 1) == (record_in(store).executions, len(store.records(Query())))
    store.close()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_ten_thousand_keys_have_ten_thousand_owners(quick_server, kind):
    url = quick_server.url(quick_server.new_database())
    told = in_four_processes(
        IMPORTS
        + """
me = int(sys.argv[2])
claims = [
    claim_of(named(f"{me}-{number}"), b"%08d%08d" % (me, number))
    for number in range(2500)
]
def threads():
    store = PostgresStore(sys.argv[1])
    say("ready")
    hear()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(store.claim, claims))
    store.close()
    return answers
async def loop():
    store = AsyncPostgresStore(sys.argv[1])
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
    store = PostgresStore(url)
    assert {Status.IN_PROGRESS: 10_000} == store.stats().counts
    store.close()


WORKER = (
    IMPORTS
    + """
store = PostgresStore(sys.argv[1], store_timeout=timedelta(seconds=30))
def work(name):
    for number in range(10**9):
        key, owner = f"{name}-{number}", b"%016d" % number
        claimed = store.claim(claim_of(named(key), owner)).record
        assert claimed.owner == owner and claimed.executions == 1, claimed
        say("claimed", key)
        done = store.complete(completion_of(named(key), owner))
        assert done is not None and done.result == ANSWER, done
        say("completed", key)
for name in sys.argv[2:]:
    threading.Thread(target=work, args=(name,), daemon=True).start()
hear()
"""
)


def test_what_was_acknowledged_before_the_server_died_is_there():
    server = PostgresServer(newest()).start()
    try:
        url = server.url(server.new_database())
        acknowledged: list[list[str]] = []
        with started(WORKER, url, "a", "b", "c") as process:
            listener = threading.Thread(
                target=lambda: acknowledged.extend(
                    line.split() for line in process.stdout
                )
            )
            listener.start()
            for _ in range(2):
                so_far = len(acknowledged)
                until(lambda least=so_far + 100: len(acknowledged) >= least)
                time.sleep(random.uniform(0.0, 0.05))
                server.kill()
                server.start()
            so_far = len(acknowledged)
            until(lambda: len(acknowledged) >= so_far + 100)
            assert process.poll() is None
            process.kill()
            listener.join()

        store = PostgresStore(url)
        for word, key in acknowledged:
            record = record_in(store, named(key))
            assert 1 == record.executions
            if word == "completed":
                assert Status.COMPLETED is record.status
                assert record.result is not None
        store.close()
    finally:
        server.close()


def until(reached):
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_fork_has_connections_of_its_own(url):
    told = in_four_processes(
        IMPORTS
        + """
store = PostgresStore(sys.argv[1])
me = sys.argv[2]
store.claim(claim_of(named(me)))
say("ready")
hear()
if (child := os.fork()) == 0:
    done = store.complete(completion_of(named(me)))
    os._exit(0 if done.result == ANSWER else 1)
_, ended = os.waitpid(child, 0)
store.claim(claim_of(named(me + "-later")))
say(ended, record_in(store, named(me)).status.word)
store.close()
""",
        url,
    )

    assert ["0 completed"] * FOUR == told
