# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Forks (F-62): nobody uses what another process opened, and nothing is lost."""

from __future__ import annotations

import pytest

from keyonce.stores.sqlite import SQLiteStore
from keyonce.testing.store_scenarios.cases import named, record_in
from tests.stores.programs import run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keyonce.db"


def test_a_child_and_its_parent_both_go_on(path):
    told = run(
        """
        store = SQLiteStore(sys.argv[1])
        store.claim(claim_of(named("before")))
        child = os.fork()
        if child == 0:
            say("child", record_in(store, named("before")).status.word)
            for number in range(50):
                store.claim(claim_of(named(f"child-{number}")))
            store.close()
            os._exit(0)
        for number in range(50):
            store.claim(claim_of(named(f"parent-{number}")))
        say("status", os.waitpid(child, 0)[1])
        say(sum(store.stats().counts.values()))
        store.close()
        """,
        path,
    )

    assert sorted(["child in_progress", "status 0"]) == sorted(told[:2])
    assert "101" == told[2]


def test_what_a_child_wrote_outlives_a_parent_that_closes_first(path):
    """Without care the parent deletes the log that the child writes into."""
    run(
        """
        from keyonce.stores.sqlite import SQLiteStore
        store = SQLiteStore(sys.argv[1])
        store.claim(claim_of(named("parent")))
        ready, go = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            store.claim(claim_of(named("child-1")))
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            store.claim(claim_of(named("child-2")))
            os._exit(0)
        os.read(ready[0], 1)
        store.close()
        os.write(go[1], b"x")
        assert os.waitpid(child, 0)[1] == 0
        """,
        path,
    )

    store = SQLiteStore(path)
    for key in ("parent", "child-1", "child-2"):
        assert record_in(store, named(key))
    store.close()


def test_a_fork_beside_busy_threads_harms_nobody(path):
    told = run(
        """
        import threading
        store = SQLiteStore(sys.argv[1], purge_every=timedelta(milliseconds=20))
        done = threading.Event()
        counts = []
        def work(name):
            number = 0
            while not done.is_set():
                store.claim(claim_of(named(f"{name}-{number}")))
                store.find(named(f"{name}-{number}"))
                number += 1
            counts.append(number)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for number in range(10):
            child = os.fork()
            if child == 0:
                try:
                    store.claim(claim_of(named(f"child-{number}")))
                    store.close()
                    os._exit(0)
                except BaseException as error:
                    say(repr(error))
                    os._exit(1)
            if os.waitpid(child, 0)[1]:
                say("failed")
        done.set()
        for thread in threads:
            thread.join()
        say(sum(store.stats().counts.values()) - sum(counts))
        store.close()
        """,
        path,
    )

    assert ["10"] == told


def test_multiprocessing_by_fork_works(path):
    told = run(
        """
        import multiprocessing
        store = SQLiteStore(sys.argv[1])
        store.claim(claim_of(named("parent")))
        def work(number):
            claimed = store.claim(claim_of(named("one"), b"%016d" % number))
            return claimed.record.owner
        with multiprocessing.get_context("fork").Pool(4) as pool:
            owners = set(pool.map(work, range(40)))
        say(len(owners), record_in(store, named("one")).owner in owners)
        """,
        path,
    )

    assert ["1 True"] == told


def test_a_server_that_loads_the_app_before_it_forks_works(path):
    """As gunicorn --preload does: the app, and its store, are made in the master."""
    told = run(
        """
        import asyncio
        sync_store = SQLiteStore(sys.argv[1])
        aio_store = AsyncSQLiteStore(sys.argv[1])
        sync_store.claim(claim_of(named("warm-up")))
        asyncio.run(aio_store.claim(claim_of(named("warm-up-2"))))
        workers = []
        for number in range(3):
            worker = os.fork()
            if worker == 0:
                async def serve():
                    for request in range(20):
                        owner = b"%08d%08d" % (number, request)
                        key = named(f"{number}-{request}")
                        claimed = await aio_store.claim(claim_of(key, owner))
                        assert claimed.record.owner == owner
                        assert record_in(sync_store, key).owner == owner
                        assert aio_store.blocking().renew(key, owner)
                    await aio_store.close()
                asyncio.run(serve())
                sync_store.close()
                os._exit(0)
            workers.append(worker)
        say([os.waitpid(worker, 0)[1] for worker in workers])
        say(sum(sync_store.stats().counts.values()))
        sync_store.close()
        """,
        path,
    )

    assert ["[0, 0, 0]", "62"] == told


def test_a_child_that_inherits_an_open_file_refuses_to_work(path):
    told = run(
        """
        store = SQLiteStore(sys.argv[1])
        store.claim(claim_of())
        from keyonce.stores.sqlite import connections as module
        module.QUIET_WITHIN = 0.05
        connections = store._database.connections
        held = connections.borrow()  # as a thread in the middle of a long read
        child = os.fork()
        if child == 0:
            for call in (
                lambda: store.find(ORDER),
                lambda: store.claim(claim_of(named("other"))),
                lambda: store.stats(),
            ):
                try:
                    call()
                    say("answered")
                except StoreUnavailable as refusal:
                    say(refusal)
            os._exit(0)
        os.waitpid(child, 0)
        connections.give_back(held)
        store.claim(claim_of(named("parent")))
        say("parent goes on")
        store.close()
        """,
        path,
    )

    assert 4 == len(told)
    assert all("Make the store after the fork" in line for line in told[:3])
    assert "parent goes on" == told[3]


def test_stores_that_nobody_holds_any_more_do_not_mind_forks(path):
    told = run(
        """
        import gc
        store = SQLiteStore(sys.argv[1], purge_every=None)
        store.claim(claim_of())
        store.close()
        del store
        gc.collect()
        child = os.fork()
        if child == 0:
            os._exit(0)
        say(os.waitpid(child, 0)[1])
        """,
        path,
    )

    assert ["0"] == told
