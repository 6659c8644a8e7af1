# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Several real processes on one file."""

from __future__ import annotations

import random
from contextlib import ExitStack
from datetime import timedelta

import pytest

from keyonce.core.errors import StoreUnavailable
from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.stores.sqlite import SQLiteStore
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    claim_of,
    completed,
    named,
    record_in,
)
from tests.stores.programs import said, started, tell

FOUR = 4


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keyonce.db"


def in_four_processes(program, path):
    """Start *program* four times, let all begin at once; what each one said."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(started(program, path, number))
            for number in range(FOUR)
        ]
        assert ["ready"] * FOUR == [said(each) for each in processes]
        for each in processes:
            tell(each)
        return [said(each) for each in processes]


def test_of_a_thousand_equal_claims_one_gets_the_key(path):
    told = in_four_processes(
        """
        store = SQLiteStore(sys.argv[1])
        me = int(sys.argv[2])
        say("ready")
        hear()
        owned = set()
        for number in range(250):
            owner = b"%08d%08d" % (me, number)
            owned.add(store.claim(claim_of(owner=owner)).record.owner)
        say(*owned)
        """,
        path,
    )

    assert 1 == len(set(told))
    store = SQLiteStore(path)
    assert (1, 1) == (record_in(store).executions, len(store.records(Query())))
    store.close()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_ten_thousand_keys_have_ten_thousand_owners(path, kind):
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
            store = SQLiteStore(sys.argv[1])
            say("ready")
            hear()
            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(store.claim, claims))
        async def loop():
            store = AsyncSQLiteStore(sys.argv[1])
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
        path,
    )

    assert ["2500"] * FOUR == told
    store = SQLiteStore(path)
    assert {Status.IN_PROGRESS: 10_000} == store.stats().counts
    store.close()


def test_what_was_acknowledged_before_a_kill_is_there(path):
    acknowledged = []
    program = """
        import threading
        store = SQLiteStore(sys.argv[1], purge_every=timedelta(milliseconds=5))
        def work(name):
            number = 0
            while True:
                key = named(f"{name}-{number}")
                store.claim(claim_of(key))
                say("claimed", f"{name}-{number}")
                store.complete(completion_of(key))
                say("completed", f"{name}-{number}")
                number += 1
        for name in sys.argv[2:]:
            threading.Thread(target=work, args=(name,), daemon=True).start()
        hear()
    """
    for turn in range(3):
        with started(program, path, f"{turn}a", f"{turn}b") as process:
            for _ in range(random.randrange(100, 300)):
                acknowledged.append(said(process).split())
            process.kill()
            rest = process.stdout.read().split("\n")[:-1]
            acknowledged += [line.split() for line in rest]

    store = SQLiteStore(path)
    assert len(acknowledged) >= 300
    for word, key in acknowledged:
        record = record_in(store, named(key))
        if word == "completed":
            assert Status.COMPLETED is record.status
            assert record.result is not None
    levels = [f.level for f in store.examine() if f.subject == "structure"]
    assert ["ok"] == levels
    store.close()


HOLDER = """
    import sqlite3
    other = sqlite3.connect(sys.argv[1], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    say("holding")
    hear()
    other.execute("ROLLBACK")
    say("gone")
"""


def test_another_programs_transaction_delays_but_loses_nothing(path):
    store = SQLiteStore(path, store_timeout=timedelta(milliseconds=200))
    store.claim(claim_of())
    with started(HOLDER, path) as other:
        assert "holding" == said(other)

        with pytest.raises(StoreUnavailable, match="another program"):
            store.renew(ORDER, FIRST)
        with pytest.raises(StoreUnavailable):
            store.claim(claim_of(named("other")))
        read = record_in(store)
        tell(other)
        assert "gone" == said(other)

    assert FIRST == read.owner
    assert store.renew(ORDER, FIRST) is not None
    assert FIRST == store.claim(claim_of(named("other"))).record.owner
    store.close()


def test_a_short_transaction_of_another_program_is_waited_for(path):
    store = SQLiteStore(path)
    completed(store)
    with started(
        """
        import sqlite3
        other = sqlite3.connect(sys.argv[1], isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        say("holding")
        time.sleep(0.3)
        other.execute("ROLLBACK")
        """,
        path,
    ) as other:
        assert "holding" == said(other)

        claimed = store.claim(claim_of(named("other")))

    assert FIRST == claimed.record.owner
    store.close()


def test_two_programs_share_records(path):
    store = SQLiteStore(path)
    with started(
        """
        store = SQLiteStore(sys.argv[1])
        hear()
        say(store.claim(claim_of(owner=SECOND)).record.owner.decode())
        hear()
        say(record_in(store).result == ANSWER)
        """,
        path,
    ) as other:
        store.claim(claim_of())
        tell(other)
        assert FIRST.decode() == said(other)

        completed(store)
        tell(other)
        assert "True" == said(other)
    store.close()
