# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Leases that are kept alive by real threads: short ones, in real time."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta

import pytest

from keyonce.core.decide import InFlight, Proceed, Unknown
from keyonce.core.ending import Free
from keyonce.core.errors import RecordUnreadable, StoreUnavailable
from keyonce.core.events import LeaseGone, LeaseRenewed, NoObserver
from keyonce.core.model import Claim, Lease
from keyonce.core.states import Status
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.commands import ReleaseKey
from keyonce.engine.finished import Lost, Stored
from keyonce.engine.heartbeat import Heartbeat
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.testing.faults import Fault, FaultPlan, FaultyStore, Mishap
from tests.engine.samples import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    attempt,
    identity,
    paid,
    policy,
)
from tests.engine.worlds import SOON, Listening, eventually

LEASE = 0.4
SHORT = policy(lease=LEASE)
SHORT_AGAIN = policy(AT_LEAST_ONCE, lease=LEASE)


def limited(guarantee, limit):
    span = timedelta(seconds=limit)
    return policy(guarantee, lease=LEASE, work_limit=span)


class TestRenewing:
    def test_a_handler_of_ten_leases_runs_once(self, live):
        elsewhere = live.guard()
        lease = live.granted(attempt(), SHORT_AGAIN)
        answers, until = [], time.monotonic() + 10 * LEASE

        while time.monotonic() < until:
            answers.append(live.begin(attempt(), SHORT_AGAIN, guard=elsewhere))
            time.sleep(LEASE / 5)

        assert {InFlight} == {type(answer) for answer in answers}
        assert not any(answer.ended for answer in answers)
        assert isinstance(live.finish(lease, paid(), SHORT_AGAIN), Stored)
        assert 1 == live.record().executions

    def test_a_duplicate_beside_the_work_hears_of_the_renewed_lease(self, live):
        live.granted(attempt(), SHORT_AGAIN)
        answers, until = [], time.monotonic() + 4 * LEASE

        while time.monotonic() < until:
            answers.append(live.begin(attempt(), SHORT_AGAIN))
            time.sleep(LEASE / 5)

        assert {InFlight} == {type(answer) for answer in answers}
        first, last = answers[0].record, answers[-1].record
        assert last.lease_until > last.claimed_at + answers[-1].age
        assert last.lease_until > first.lease_until + 2 * LEASE

    def test_it_renews_at_a_third_of_the_lease(self, live):
        began = time.monotonic()
        listening = Timed()
        guard = live.guard(observer=listening)
        live.granted(attempt(), policy(lease=0.6), guard=guard)

        eventually(lambda: len(listening.renewed) >= 4)

        gaps = [
            later - earlier
            for earlier, later in zip(
                [began, *listening.renewed], listening.renewed, strict=False
            )
        ]
        assert all(0.15 < gap < 0.6 for gap in gaps), gaps

    def test_a_short_lease_is_renewed_beside_a_long_one(self, live):
        listening = Listening()
        guard = live.guard(observer=listening)
        live.granted(attempt("long"), policy(lease=60.0), guard=guard)
        time.sleep(0.05)
        live.granted(attempt("short"), SHORT, guard=guard)

        eventually(lambda: len(listening.heard(LeaseRenewed)) >= 3, within=2.0)

        assert {identity("short")} == {
            event.identity for event in listening.heard(LeaseRenewed)
        }

    def test_every_lease_is_renewed(self, live):
        leases = [live.granted(attempt(f"k-{n}"), SHORT_AGAIN) for n in range(50)]

        time.sleep(3 * LEASE)

        elsewhere = live.guard()
        for number in range(50):
            there = live.begin(attempt(f"k-{number}"), SHORT_AGAIN, guard=elsewhere)
            assert isinstance(there, InFlight)
            assert not there.ended
        for lease in leases:
            assert isinstance(live.finish(lease, paid(), SHORT_AGAIN), Stored)

    def test_what_has_ended_is_not_renewed(self, live):
        listening = Listening()
        guard = live.guard(observer=listening)
        kept = live.granted(attempt("kept"), SHORT, guard=guard)
        freed = live.granted(attempt("freed"), SHORT, guard=guard)
        live.finish(kept, paid(), SHORT, guard=guard)
        live.finish(freed, Free("refused"), SHORT, guard=guard)
        asked = live.plan.calls.count("renew")

        time.sleep(2 * LEASE)

        assert asked == live.plan.calls.count("renew")
        assert [] == listening.heard(LeaseGone)

    async def test_a_blocked_event_loop_does_not_lose_its_lease(self):
        memory = MemoryStore()
        here = AsyncGuard(AsyncMemoryStore(memory))
        decision = await here.begin(attempt(), SHORT_AGAIN)
        assert isinstance(decision, Proceed)

        time.sleep(5 * LEASE)  # a handler that forgets to await

        elsewhere = AsyncGuard(AsyncMemoryStore(memory))
        there = await elsewhere.begin(attempt(), SHORT_AGAIN)
        assert isinstance(there, InFlight)
        assert not there.ended
        finished = await here.finish(decision.lease, paid(), SHORT_AGAIN)
        assert isinstance(finished, Stored)
        await here.close()
        await elsewhere.close()


class Timed:
    """Remembers when leases were renewed."""

    def __init__(self):
        self.renewed = []

    def notify(self, event):
        if isinstance(event, LeaseRenewed):
            self.renewed.append(time.monotonic())


class TestTheWorkLimit:
    def test_at_most_once_becomes_unknown_and_its_worker_is_told_once(self, live):
        listening = Listening()
        reasons: list[str] = []
        guard = live.guard(observer=listening)
        terms = limited(AT_MOST_ONCE, 0.5)
        began = time.monotonic()
        live.granted(attempt(), terms, guard=guard, on_gone=reasons.append)

        eventually(lambda: reasons)

        assert 0.5 <= time.monotonic() - began < 1.5
        assert (Status.UNKNOWN, "work-limit") == (
            live.record().status,
            live.record().reason,
        )
        time.sleep(2 * LEASE)
        assert ["work-limit"] == reasons
        assert [LeaseGone(identity(), "work-limit")] == listening.heard(LeaseGone)

    def test_at_least_once_is_told_and_another_may_run(self, live):
        reasons: list[str] = []
        terms = limited(AT_LEAST_ONCE, 0.5)
        live.granted(attempt(), terms, on_gone=reasons.append)
        elsewhere = live.guard()

        next_one = live.granted(attempt(), terms, guard=elsewhere, wait_for=5.0)

        assert ["work-limit"] == reasons
        assert 2 == next_one.execution

    def test_its_late_worker_may_still_complete_an_unknown_record(self, live):
        reasons: list[str] = []
        terms = limited(AT_MOST_ONCE, 0.4)
        lease = live.granted(attempt(), terms, on_gone=reasons.append)
        eventually(lambda: reasons)

        assert isinstance(live.finish(lease, paid(b"late"), terms), Stored)

    @pytest.mark.parametrize("wait_for", [0.0, 5.0])
    def test_the_duplicates_of_a_hanging_handler_are_told_the_truth(
        self, live, wait_for
    ):
        """Also in the process where it hangs, whatever they heard before."""
        reasons: list[str] = []
        terms = limited(AT_MOST_ONCE, 0.4)
        live.granted(attempt(), terms, on_gone=reasons.append)
        waiting = live.starts(attempt(), terms, wait_for=5.0)
        eventually(lambda: reasons)

        assert isinstance(waiting.result(SOON), Unknown)
        # Until the one that waited has asked the store, old news may still be told.
        eventually(
            lambda: isinstance(live.begin(attempt(), terms, wait_for=wait_for), Unknown)
        )

    def test_a_silent_store_at_the_limit_is_asked_until_it_answers(self, live):
        reasons: list[str] = []
        live.plan.faults.append(Fault(Mishap.LOST_REQUEST, "abandon", times=3))
        terms = limited(AT_MOST_ONCE, 0.3)
        live.granted(attempt(), terms, on_gone=reasons.append)

        eventually(lambda: reasons)

        assert ["work-limit"] == reasons
        assert Status.UNKNOWN is live.record().status

    def test_a_limit_shorter_than_a_renewal_is_kept(self, live):
        reasons: list[str] = []
        terms = policy(lease=30.0, work_limit=timedelta(seconds=0.2))
        live.granted(attempt(), terms, on_gone=reasons.append)

        eventually(lambda: reasons, within=2.0)

        assert Status.UNKNOWN is live.record().status


class TestLosing:
    def test_a_store_that_is_busy_for_leases_is_not_a_lost_lease(self, live):
        reasons: list[str] = []
        live.plan.faults.append(Fault(Mishap.LOST_REQUEST, "renew", times=None))
        lease = live.granted(attempt(), SHORT_AGAIN, on_gone=reasons.append)
        time.sleep(3 * LEASE)
        assert [] == reasons

        live.plan.heal()

        eventually(lambda: live.record().lease_until > time.time())
        assert isinstance(live.finish(lease, paid(), SHORT_AGAIN), Stored)
        assert [] == reasons

    def test_a_worker_whose_key_another_has_taken_is_told_once(self, world, clock):
        listening = Listening()
        reasons: list[str] = []
        guard = world.guard(observer=listening)
        lease = world.granted(
            attempt(), SHORT_AGAIN, guard=guard, on_gone=reasons.append
        )

        taken_over(world, clock)

        eventually(lambda: reasons)
        time.sleep(2 * LEASE)
        assert ["lost"] == reasons
        assert [LeaseGone(identity(), "lost")] == listening.heard(LeaseGone)
        assert isinstance(world.finish(lease, paid(), SHORT_AGAIN, guard=guard), Lost)

    def test_a_worker_whose_record_was_parked_is_told_and_may_complete(
        self, world, clock
    ):
        reasons: list[str] = []
        lease = world.granted(attempt(), SHORT, on_gone=reasons.append)

        taken_over(world, clock)

        eventually(lambda: reasons)
        assert ["parked"] == reasons
        assert Status.UNKNOWN is world.record().status
        assert isinstance(world.finish(lease, paid(b"late"), SHORT), Stored)

    def test_nobody_need_listen(self, world, clock):
        lease = world.granted(attempt(), SHORT_AGAIN)

        taken_over(world, clock)

        time.sleep(LEASE)
        assert isinstance(world.finish(lease, paid(), SHORT_AGAIN), Lost)

    def test_whoever_ends_just_now_is_not_told_that_it_is_lost(self, live):
        """The record is gone because its owner has ended it: no loss."""
        listening = Listening()
        reasons: list[str] = []
        guard = live.guard(observer=listening)
        for number in range(40):
            lease = live.granted(
                attempt(f"k-{number}"),
                policy(lease=0.006),
                guard=guard,
                on_gone=reasons.append,
            )
            time.sleep(0.002)
            live.finish(lease, paid(), guard=guard)

        time.sleep(0.1)
        assert [] == reasons
        assert [] == listening.heard(LeaseGone)


def taken_over(world, clock):
    """End the lease of k-1 as another process would, between two renewals."""
    record = world.record()
    assert record.fingerprint is not None
    until = time.monotonic() + 10
    while world.record().owner == record.owner and (
        world.record().status is Status.IN_PROGRESS
    ):
        assert time.monotonic() < until
        clock.advance(0.5)
        seen = world.record().lease_until
        world.memory.claim(
            Claim(
                identity=identity(),
                owner=b"another",
                fingerprint=record.fingerprint,
                guarantee=record.guarantee,
                lease_for=30.0,
                max_crashes=3,
                witnessed=seen,
            )
        )


class TestStandingFast:
    """One lease's trouble is not another's."""

    def test_a_listener_that_raises_harms_no_other_lease(self, live):
        def raising(reason):
            raise RuntimeError(reason)

        live.granted(attempt("bad"), limited(AT_MOST_ONCE, 0.1), on_gone=raising)
        live.granted(attempt("good"), SHORT_AGAIN)

        time.sleep(4 * LEASE)

        there = live.begin(attempt("good"), SHORT_AGAIN, guard=live.guard())
        assert isinstance(there, InFlight)
        assert not there.ended

    def test_an_observer_that_raises_harms_no_lease(self, live):
        class Raising:
            def notify(self, event):
                if isinstance(event, LeaseRenewed):
                    raise RuntimeError("full")

        guard = live.guard(observer=Raising())
        live.granted(attempt(), SHORT_AGAIN, guard=guard)

        time.sleep(4 * LEASE)

        there = live.begin(attempt(), SHORT_AGAIN, guard=live.guard())
        assert isinstance(there, InFlight)
        assert not there.ended

    def test_a_store_that_fails_in_its_own_words_is_asked_again(self):
        class Strange(FaultyStore):
            def renew(self, identity, owner):
                if len(failed) < 3:
                    failed.append(1)
                    raise OSError("a driver's own error")
                return super().renew(identity, owner)

        failed: list[int] = []
        memory = MemoryStore()
        store = Strange(memory, FaultPlan())
        heartbeat, lease, reasons = watched(store)

        time.sleep(3 * LEASE)

        heartbeat.close()
        found = memory.find(identity())
        assert (3, []) == (len(failed), reasons)
        assert found is not None
        assert found.record.lease_until > found.now
        assert lease.owner == found.record.owner

    @pytest.mark.parametrize("trouble", [StoreUnavailable, OSError])
    def test_a_store_that_cannot_be_reached_at_first_is_reached_later(self, trouble):
        memory = MemoryStore()
        tries = []

        def reach():
            tries.append(1)
            if len(tries) < 3:
                raise trouble("not yet")
            return memory

        heartbeat, _, reasons = watched(memory, reach)

        time.sleep(3 * LEASE)

        heartbeat.close()
        found = memory.find(identity())
        assert found is not None
        assert found.record.lease_until > found.now
        assert [] == reasons


def watched(store, reach=None):
    """A heartbeat that watches one lease of *store*."""
    fingerprint = attempt().fingerprint
    claimed = store.claim(
        Claim(identity(), b"owner", fingerprint, AT_LEAST_ONCE, LEASE, 3)
    )
    record = claimed.record
    lease = Lease(identity(), b"owner", AT_LEAST_ONCE, 1, record.claimed_at, LEASE)
    heartbeat = Heartbeat(reach or (lambda: store), NoObserver())
    reasons: list[str] = []
    heartbeat.watch(lease, 60.0, reasons.append)
    return heartbeat, lease, reasons


class TestEnding:
    def test_there_is_no_thread_before_the_first_lease(self, live):
        assert [] == live.beating()

    def test_one_thread_serves_a_guard(self, live):
        for number in range(20):
            live.granted(attempt(f"k-{number}"), SHORT)

        assert 1 == len(live.beating())

    def test_no_thread_is_left_after_close(self, live):
        guard = live.guard()
        for number in range(20):
            live.granted(attempt(f"k-{number}"), SHORT, guard=guard)

        live.dies(guard)

        assert [] == live.beating()

    def test_a_forked_child_renews_by_its_own_thread(self, tmp_path):
        """A fork has no threads but the one that forked."""
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "ignore",
                "-c",
                FORKED,
                str(tmp_path / "keyonce.db"),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert "child: in flight, not ended; stored\n" == done.stdout, done.stderr
        assert 0 == done.returncode, done.stderr


FORKED = """
import os, sys, time
from datetime import timedelta
from keyonce import Attempt, Fingerprint, Guard, Identity, Keep, Policy, StoredResult
from keyonce.stores.url import open_store

def attempt(key):
    return Attempt(Identity("t", "o", key), Fingerprint("1", b"x"), lambda _: None)

terms = Policy(guarantee="at-least-once", lease=timedelta(seconds=0.3))
url = "sqlite:///" + sys.argv[1]
guard = Guard(open_store(url))
guard.begin(attempt("in the parent"), terms)   # its heartbeat beats, its flight flies
child = os.fork()
if child:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    guard.close()
    sys.exit(code)

lease = guard.begin(attempt("in the child"), terms).lease
time.sleep(1.2)
elsewhere = Guard(open_store(url))
seen = elsewhere.begin(attempt("in the child"), terms)
kept = guard.finish(lease, Keep(StoredResult(200)), terms)
print("child:", "in flight," if type(seen).__name__ == "InFlight" else seen,
      "ended;" if seen.ended else "not ended;", type(kept).__name__.lower(), flush=True)
# The parent's leader is not in this process: the store must be asked.
guard.begin(attempt("in the parent"), terms)
assert guard._flights.sit(attempt("in the parent").identity).leads
elsewhere.close(); guard.close()
os._exit(0)
"""


class TestLateRecords:
    def test_a_record_that_cannot_be_read_is_tried_no_more(self):
        class Torn(MemoryStore):
            tries = 0

            def release(self, identity, owner, reason, retention_for):
                self.tries += 1
                raise RecordUnreadable("torn")

        store = Torn()
        heartbeat = Heartbeat(lambda: store, NoObserver())
        lease = Lease(identity(), b"o" * 16, AT_LEAST_ONCE, 1, 0.0, 60.0)
        late = ReleaseKey(lease.identity, lease.owner, "nothing happened", None)

        heartbeat.record_late(lease, late, within=3600.0)
        eventually(lambda: store.tries)
        heartbeat.close()  # with one more try at what is left

        assert 1 == store.tries
