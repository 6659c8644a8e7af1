# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Leases are prolonged beside the record's row, and a takeover still sees it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Query
from keyonce.core.protocols import Store
from keyonce.core.states import Status
from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore
from keyonce.stores.mysql.script import scripts, singly
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completion_of,
    named,
    record_in,
    settlement_of,
)

LONG_AGO = (
    "UPDATE keyonce_records SET lease_until = lease_until - 3600000000, "
    "claimed_at = claimed_at - 3600000000"
)
ROWS = "SELECT scope, operation, `key`, owner, lease_until FROM keyonce_renewals"
TRX = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
AFRESH = 0.2  # asked more often than each 0.1 s, the server repeats what it said


@pytest.fixture(params=["sync", "async"])
def store(request, used_url):
    store: Store = (
        MySQLStore(used_url, purge_every=None)
        if request.param == "sync"
        else StorePortal(AsyncMySQLStore(used_url, purge_every=None))
    )
    yield store
    store.close()


def run_out(server, store):
    """Claim ORDER so that its lease is over; give the end that everybody sees."""
    store.claim(claim_of(guarantee=Guarantee.AT_LEAST_ONCE))
    server.ask(LONG_AGO, "used")
    return record_in(store).lease_until


def taking_over(seen, owner=SECOND):
    return claim_of(owner=owner, guarantee=Guarantee.AT_LEAST_ONCE, witnessed=seen)


def inside(connection, script, **values):
    """Carry out a query of the store step by step, as another process would."""
    identity = {"scope": ORDER.scope, "operation": ORDER.operation, "key": ORDER.key}
    with connection.cursor() as cursor:
        for piece in singly(scripts(bound_clock=False)[script]):
            cursor.execute(piece, identity | values)


def until_somebody_waits(server):
    deadline = time.monotonic() + 30
    while not server.ask(TRX):
        assert time.monotonic() < deadline
        time.sleep(AFRESH)


def test_a_renewal_leaves_the_row_of_the_record_alone(server, store):
    store.claim(claim_of())
    before = server.ask("SELECT * FROM keyonce_records", "used")

    renewed = store.renew(ORDER, FIRST)

    assert before == server.ask("SELECT * FROM keyonce_records", "used")
    assert renewed.lease_until > before[0][11] / 1e6
    assert renewed == record_in(store) == store.claim(claim_of(owner=SECOND)).record
    assert [renewed] == [each._replace(result=None) for each in store.records(Query())]


def test_every_end_keeps_the_lease_as_it_was(store):
    ends = {}
    for number, end in enumerate(("complete", "release", "abandon", "settle")):
        key, owner = named(end), b"%016d" % number
        store.claim(claim_of(key, owner))
        ends[end] = store.renew(key, owner).lease_until

    store.complete(completion_of(named("complete"), b"%016d" % 0))
    store.release(named("release"), b"%016d" % 1, "safe", None)
    store.abandon(named("abandon"), b"%016d" % 2, "crashed")
    store.abandon(named("settle"), b"%016d" % 3, "crashed")
    store.settle(settlement_of(named("settle")))
    store.purge()

    assert ends == {end: record_in(store, named(end)).lease_until for end in ends}


def test_a_renewed_lease_is_counted_as_alive(server, store):
    store.claim(claim_of())
    server.ask(LONG_AGO, "used")
    dead = store.stats().counts

    store.renew(ORDER, FIRST)

    assert {Status.UNKNOWN: 1} == dead
    assert {Status.IN_PROGRESS: 1} == store.stats().counts
    assert [] == list(store.records(Query(status=Status.UNKNOWN)))


def test_a_renewal_does_not_wait_for_an_open_transaction_with_the_record(server, store):
    store.claim(claim_of())
    other = server.locking("used", "UPDATE keyonce_records SET status = 2")
    began = time.monotonic()

    renewed = [store.renew(ORDER, FIRST) for _ in range(3)]

    took = time.monotonic() - began
    other.rollback()
    other.close()
    assert took < 4  # the patience of a lock is 5 s
    assert sorted(each.lease_until for each in renewed) == [
        each.lease_until for each in renewed
    ]
    assert renewed[-1] == record_in(store)


def test_nobody_takes_over_what_an_open_transaction_holds_nor_waits(server, store):
    seen = run_out(server, store)
    other = server.locking("used", "SELECT 1 FROM keyonce_records FOR UPDATE")
    began = time.monotonic()

    met = store.claim(taking_over(seen)).record

    took = time.monotonic() - began
    other.rollback()
    other.close()
    assert took < 4  # the patience of a lock is 5 s
    assert (FIRST, Status.IN_PROGRESS) == (met.owner, met.status)
    assert SECOND == store.claim(taking_over(seen)).record.owner


def test_a_first_renewal_under_way_keeps_its_lease(server, store):
    """It holds its row before the claimant does, and is done before it looks."""
    seen = run_out(server, store)
    with closing(server.connect("used")) as owner, ThreadPoolExecutor(1) as pool:
        inside(owner, "begin")
        inside(owner, "hold")
        takeover = pool.submit(store.claim, taking_over(seen))
        until_somebody_waits(server)
        with owner.cursor() as cursor:
            cursor.execute(
                "UPDATE keyonce_renewals SET owner = %s, lease_until = %s",
                (FIRST, round(time.time() + 30) * 1_000_000),
            )
        inside(owner, "commit")

        met = takeover.result(timeout=30).record

    assert (FIRST, 1) == (met.owner, met.executions)
    assert met == record_in(store)


def test_a_renewal_that_comes_behind_a_takeover_is_lost(server, store):
    """The claimant has looked at the lease, and commits after the owner has come."""
    run_out(server, store)
    with closing(server.connect("used")) as claimant, ThreadPoolExecutor(1) as pool:
        inside(claimant, "begin")
        inside(claimant, "lock")
        inside(claimant, "hold")
        with claimant.cursor() as cursor:
            cursor.execute("UPDATE keyonce_records SET owner = %s", (SECOND,))
        renewal = pool.submit(store.renew, ORDER, FIRST)
        until_somebody_waits(server)
        inside(claimant, "commit")

        assert renewal.result(timeout=30) is None

    assert SECOND == record_in(store).owner
    assert store.renew(ORDER, SECOND) is not None


def test_what_an_earlier_owner_renewed_prolongs_nothing(server, store):
    store.claim(claim_of())
    store.renew(ORDER, FIRST)
    store.release(ORDER, FIRST, "safe", None)
    claimed = store.claim(claim_of(owner=SECOND, lease_for=1.0)).record
    between = record_in(store)

    late = store.renew(ORDER, FIRST)
    renewed = store.renew(ORDER, SECOND)

    assert late is None
    assert claimed == between
    assert claimed.lease_until < renewed.lease_until < claimed.lease_until + 60
    assert renewed == record_in(store)


def test_a_purge_leaves_the_renewals_of_those_at_work(server, store):
    for number in range(30):
        key, owner = named(str(number)), b"%016d" % number
        store.claim(claim_of(key, owner))
        store.renew(key, owner)
        if number % 3 == 0:
            store.complete(completion_of(key, owner))
        if number % 3 == 1:
            store.abandon(key, owner, "crashed")
    at_work = {str(number).encode() for number in range(2, 30, 3)}
    server.ask("INSERT INTO keyonce_renewals VALUES ('a', 'b', 'gone', 'x', 1)", "used")

    assert 0 == store.purge()

    assert at_work == {row[2] for row in server.ask(ROWS, "used")}
    assert store.renew(named("2"), b"%016d" % 2) is not None


def test_more_renewals_than_one_step_removes_are_removed(server, store):
    for number in range(3):
        store.claim(claim_of(named(str(number))))
    server.ask(
        "INSERT INTO keyonce_renewals SELECT 'a', 'b', seq, 'x', 1 FROM seq_1_to_1700",
        "used",
    )

    store.purge()

    assert () == server.ask(ROWS, "used")


def test_renewals_claims_and_takeovers_of_one_key_meet_no_dead_end(server, used_url):
    """Whoever holds the key at the end was told so, and all of them got an answer."""
    store = MySQLStore(used_url, pool_size=16, purge_every=None)
    owners = [b"%016d" % number for number in range(8)]
    stop = time.monotonic() + 3
    won: list[tuple[bytes, int]] = []
    failed: list[BaseException] = []

    def work(owner):
        seen = None
        while time.monotonic() < stop:
            command = claim_of(
                owner=owner,
                guarantee=Guarantee.AT_LEAST_ONCE,
                lease_for=0.02,
                max_crashes=10**9,
                witnessed=seen,
            )
            try:
                record = store.claim(command).record
                seen = record.lease_until
                if record.owner == owner and (owner, record.executions) not in won:
                    won.append((owner, record.executions))
                    for _ in range(3):
                        store.renew(ORDER, owner)
                store.purge()
            except BaseException as exc:
                failed.append(exc)
                raise

    threads = [threading.Thread(target=work, args=(owner,)) for owner in owners]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    last = record_in(store)
    store.close()

    assert [] == failed
    executions = {number: owner for owner, number in won}
    assert {(owner, n) for n, owner in executions.items()} == set(won)
    assert (last.owner, last.executions) in won
    assert last.executions > 3
