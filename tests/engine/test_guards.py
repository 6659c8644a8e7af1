# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The two guards: one owner, one outcome, whoever comes and whatever fails."""

from __future__ import annotations

import time
from concurrent.futures import wait

import pytest

from keyonce.core.decide import (
    InFlight,
    Mismatch,
    Proceed,
    Replay,
    Unknown,
)
from keyonce.core.ending import Free, Unclear
from keyonce.core.errors import (
    ConfigurationError,
    RecordUnreadable,
    StoreUnavailable,
)
from keyonce.core.events import LeaseEnded, Recorded, StoreCalled
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Settlement, StoredResult
from keyonce.core.states import Status
from keyonce.engine.finished import Freed, Lost, Parked, Stored, Unrecorded
from keyonce.engine.watching import reason_of
from keyonce.testing.faults import Fault, Mishap
from tests.engine.samples import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    attempt,
    identity,
    paid,
    policy,
)
from tests.engine.worlds import SOON, Listening, eventually

RUNS_AGAIN = [Guarantee.RESUME, Guarantee.AT_LEAST_ONCE]
BRIEF = policy(lease=0.3)
BRIEF_AGAIN = policy(AT_LEAST_ONCE, lease=0.3)


class Raising:
    """An observer with a fault of its own."""

    def notify(self, event):
        raise RuntimeError("full")


def results(futures):
    done, pending = wait(futures, timeout=SOON)
    assert not pending
    return [future.result() for future in done]


def of(kind, decisions):
    return [decision for decision in decisions if isinstance(decision, kind)]


def bodies(decisions):
    return {decision.record.result.body for decision in of(Replay, decisions)}


def test_what_the_store_cannot_keep_is_refused_and_nothing_is_claimed(world):
    with pytest.raises(ConfigurationError, match=r"exactly-once.* memory store cannot"):
        world.begin(attempt(), policy(Guarantee.EXACTLY_ONCE))

    assert [] == world.plan.calls


class TestOneKey:
    def test_the_first_works_and_every_retry_gets_its_outcome(self, world):
        lease = world.granted(attempt())

        finished = world.finish(lease, paid(b"receipt 1"))

        assert isinstance(finished, Stored)
        again = world.begin(attempt())
        assert Replay(finished.record) == again
        assert b"receipt 1" == again.record.result.body

    def test_a_duplicate_meanwhile_is_told_that_it_runs(self, world, clock):
        world.granted(attempt())
        clock.advance(4)

        here = world.begin(attempt())
        elsewhere = world.begin(attempt(), guard=world.guard())

        assert isinstance(here, InFlight)
        assert InFlight(world.record(), 4.0) == elsewhere

    def test_another_request_under_the_key_is_a_mismatch_in_every_state(self, world):
        lease = world.granted(attempt())
        running = world.begin(attempt(body=b"other"), wait_for=10.0)
        world.finish(lease, paid())
        done = world.begin(attempt(body=b"other"))

        assert isinstance(running, Mismatch)
        assert isinstance(done, Mismatch)
        assert Status.COMPLETED is world.record().status

    def test_a_freed_key_runs_again_also_for_another_request(self, world):
        lease = world.granted(attempt())
        assert Freed() == world.finish(lease, Free("refused"))

        again = world.granted(attempt(body=b"corrected"))

        assert 2 == again.execution

    def test_an_unclear_end_is_told_to_every_retry_of_at_most_once(self, world):
        lease = world.granted(attempt())

        assert Parked() == world.finish(lease, Unclear("timed out"))

        assert isinstance(world.begin(attempt(), wait_for=5.0), Unknown)

    @pytest.mark.parametrize("guarantee", RUNS_AGAIN)
    def test_an_unclear_end_runs_again_under_the_others(self, world, guarantee):
        terms = policy(guarantee)
        lease = world.granted(attempt(), terms)

        assert Freed() == world.finish(lease, Unclear("timed out"), terms)

        assert 2 == world.granted(attempt(), terms).execution

    def test_keys_do_not_meet(self, world):
        leases = [world.granted(attempt(f"k-{n}")) for n in range(20)]
        for number, lease in enumerate(leases):
            world.finish(lease, paid(b"%d" % number))

        for number in range(20):
            answer = world.begin(attempt(f"k-{number}"))
            assert b"%d" % number == answer.record.result.body

    def test_a_record_can_be_read_without_claiming(self, world):
        assert world.find() is None
        world.granted(attempt())

        found = world.find()

        assert found is not None
        assert world.record() == found.record

    def test_a_record_of_an_older_scheme_is_replayed(self, world):
        lease = world.granted(attempt(scheme="1"))
        world.finish(lease, paid())

        assert isinstance(world.begin(attempt(scheme="2", knows="1")), Replay)

    def test_owner_tokens_never_repeat(self, world):
        owners = set()
        for _ in range(50):
            lease = world.granted(attempt())
            owners.add(lease.owner)
            world.finish(lease, Free("again"))

        assert 50 == len(owners)
        assert {16} == {len(owner) for owner in owners}


class TestManyAtOnce:
    def test_a_thousand_waiters_make_one_execution_and_a_handful_of_claims(self, world):
        owner = world.granted(attempt())
        waiters = [world.starts(attempt(), wait_for=30.0) for _ in range(1_000)]
        eventually(lambda: seated(world) >= 1_000)

        world.finish(owner, paid(b"once"))
        decisions = results(waiters)

        assert 1_000 == len(of(Replay, decisions))
        assert {b"once"} == bodies(decisions)
        assert 1 == world.record().executions
        assert 1 == world.plan.calls.count("claim")

    def test_a_thousand_at_once_without_a_first_one_are_the_same(self, world):
        waiters = [world.starts(attempt(), wait_for=30.0) for _ in range(1_000)]
        eventually(lambda: any(waiter.done() for waiter in waiters))
        (owner,) = [waiter.result() for waiter in waiters if waiter.done()]
        assert isinstance(owner, Proceed)

        world.finish(owner.lease, paid(b"once"))
        decisions = results(waiters)

        assert (1, 999) == (len(of(Proceed, decisions)), len(of(Replay, decisions)))
        assert {b"once"} == bodies(decisions)
        assert world.plan.calls.count("claim") <= 5

    def test_a_storm_of_the_impatient_costs_one_claim(self, world):
        world.granted(attempt())

        decisions = results([world.starts(attempt()) for _ in range(200)])

        assert 200 == len(of(InFlight, decisions))
        assert 1 == world.plan.calls.count("claim")

    def test_the_waiters_of_another_process_ask_as_one(self, world):
        owner = world.granted(attempt())
        there = world.guard()
        waiters = [
            world.starts(attempt(), guard=there, wait_for=30.0) for _ in range(300)
        ]
        time.sleep(0.5)  # some rounds of asking
        asked = world.plan.calls.count("claim")

        world.finish(owner, paid(b"once"))
        decisions = results(waiters)

        assert 300 == len(of(Replay, decisions))
        assert asked <= 1 + 20

    def test_more_than_can_wait_are_told_that_it_runs(self, world):
        """The loop must stay free for the others, and no thread may spin."""
        world.here._flights._most_waiting = 20
        owner = world.granted(attempt())
        waiters = [world.starts(attempt(), wait_for=30.0) for _ in range(30)]
        eventually(lambda: sum(waiter.done() for waiter in waiters) >= 10)

        world.finish(owner, paid())
        decisions = results(waiters)

        assert (10, 20) == (len(of(InFlight, decisions)), len(of(Replay, decisions)))


def seated(world):
    """How many wait for news of any key in this guard."""
    flights = list(world.here._flights._flights.values())
    return sum(len(flight.waiting) for flight in flights)


class TestHandingOver:
    def test_when_the_owner_frees_the_key_exactly_one_waiter_runs(self, world):
        owner = world.granted(attempt())
        waiters = [world.starts(attempt(), wait_for=30.0) for _ in range(20)]
        eventually(lambda: seated(world) >= 20)

        world.finish(owner, Free("refused"))
        eventually(lambda: any(waiter.done() for waiter in waiters))
        time.sleep(0.1)
        (chosen,) = [waiter.result() for waiter in waiters if waiter.done()]
        assert isinstance(chosen, Proceed)
        assert 2 == chosen.lease.execution
        world.finish(chosen.lease, paid(b"second"))

        decisions = results(waiters)
        assert (1, 19) == (len(of(Proceed, decisions)), len(of(Replay, decisions)))
        assert {b"second"} == bodies(decisions)
        assert 2 == world.plan.calls.count("claim")

    def test_each_of_many_is_given_a_turn_while_all_free_the_key(self, world):
        owner = world.granted(attempt())
        waiters = {world.starts(attempt(), wait_for=30.0) for _ in range(10)}
        eventually(lambda: seated(world) >= 10)
        world.finish(owner, Free("refused"))

        for execution in range(2, 12):
            eventually(lambda: any(waiter.done() for waiter in waiters))
            (turn,) = {waiter for waiter in waiters if waiter.done()}
            lease = turn.result().lease
            assert execution == lease.execution
            waiters.remove(turn)
            world.finish(lease, Free("refused"))

    def test_a_leader_without_patience_hands_over_to_one_that_has(self, world):
        owner = world.granted(attempt())
        there = world.guard()
        hasty = world.starts(attempt(), guard=there, wait_for=0.3)
        time.sleep(0.05)
        patient = world.starts(attempt(), guard=there, wait_for=20.0)

        assert isinstance(hasty.result(SOON), InFlight)
        world.finish(owner, paid(b"once"))

        assert {b"once"} == bodies([patient.result(SOON)])

    @pytest.mark.parametrize("elsewhere", [False, True])
    @pytest.mark.parametrize("many", [1, 10])
    def test_patience_is_bounded(self, world, elsewhere, many):
        world.granted(attempt())
        guard = world.guard() if elsewhere else world.here
        began = time.monotonic()

        waiters = [
            world.starts(attempt(), guard=guard, wait_for=0.4) for _ in range(many)
        ]
        decisions = results(waiters)

        took = time.monotonic() - began
        assert many == len(of(InFlight, decisions))
        assert 0.4 <= took < 4.0


class TestDeadOwners:
    @pytest.mark.parametrize("guarantee", RUNS_AGAIN)
    def test_exactly_one_of_those_who_wait_takes_over(self, world, clock, guarantee):
        terms = policy(guarantee, lease=0.3)
        owner = world.guard()
        world.granted(attempt(), terms, guard=owner)
        waiters = [world.starts(attempt(), terms, wait_for=30.0) for _ in range(20)]
        world.dies(owner)

        clock.advance(0.5)
        eventually(lambda: any(waiter.done() for waiter in waiters))
        (turn,) = [waiter.result() for waiter in waiters if waiter.done()]
        assert 2 == turn.lease.execution
        world.finish(turn.lease, paid(b"second"), terms)

        decisions = results(waiters)
        assert 19 == len(of(Replay, decisions))
        assert (2, {b"second"}) == (world.record().executions, bodies(decisions))

    def test_in_at_most_once_nobody_does_and_all_are_told(self, world, clock):
        owner = world.guard()
        world.granted(attempt(), BRIEF, guard=owner)
        waiters = [world.starts(attempt(), BRIEF, wait_for=30.0) for _ in range(20)]
        world.dies(owner)

        clock.advance(0.5)
        decisions = results(waiters)

        assert 20 == len(of(Unknown, decisions))
        assert (1, 1) == (world.record().executions, world.record().crashes)

    def test_the_impatient_end_a_dead_lease_too(self, world, clock):
        owner = world.guard()
        world.granted(attempt(), BRIEF_AGAIN, guard=owner)
        world.dies(owner)
        clock.advance(0.5)

        assert 2 == world.granted(attempt(), BRIEF_AGAIN).execution

    def test_a_key_whose_workers_keep_dying_is_parked(self, world, clock):
        terms = policy(AT_LEAST_ONCE, lease=0.3, max_executions=3)
        for execution in (1, 2, 3):
            worker = world.guard()
            lease = world.granted(attempt(), terms, guard=worker)
            assert execution == lease.execution
            world.dies(worker)
            clock.advance(0.5)

        assert isinstance(world.begin(attempt(), terms), Unknown)
        assert ("parked", 3) == (world.record().reason, world.record().executions)

    def test_an_old_owner_cannot_complete_and_gets_the_winners_outcome(
        self, world, clock
    ):
        slow = world.guard()
        old = world.granted(attempt(), BRIEF_AGAIN, guard=slow)
        world.dies(slow)
        clock.advance(0.5)
        new = world.granted(attempt(), BRIEF_AGAIN)
        early = world.finish(old, paid(b"stale"), BRIEF_AGAIN, guard=slow)
        assert Status.IN_PROGRESS is world.record().status
        world.finish(new, paid(b"winner"), BRIEF_AGAIN)

        late = world.finish(old, paid(b"stale"), BRIEF_AGAIN, guard=slow)

        assert isinstance(early, Lost)
        assert Lost(world.record()) == late
        assert {b"winner"} == bodies([world.begin(attempt())])
        assert world.record() == world.winner(old)

    @pytest.mark.parametrize("ending", [Free("late"), Unclear("late")])
    def test_an_old_owner_cannot_free_the_key_of_the_new_one(
        self, world, clock, ending
    ):
        slow = world.guard()
        old = world.granted(attempt(), BRIEF_AGAIN, guard=slow)
        world.dies(slow)
        clock.advance(0.5)
        new = world.granted(attempt(), BRIEF_AGAIN)

        assert Lost(None) == world.finish(old, ending, BRIEF_AGAIN, guard=slow)
        assert (Status.IN_PROGRESS, new.owner) == (
            world.record().status,
            world.record().owner,
        )

    def test_an_old_owner_can_wait_for_the_winner(self, world, clock):
        slow = world.guard()
        old = world.granted(attempt(), BRIEF_AGAIN, guard=slow)
        world.dies(slow)
        clock.advance(0.5)
        new = world.granted(attempt(), BRIEF_AGAIN)
        waiting = world.start(lambda: slow.winner(old, wait_for=BRIEF.patience))

        world.finish(new, paid(b"winner"), BRIEF_AGAIN)

        assert b"winner" == waiting.result(SOON).result.body

    def test_the_owner_of_an_unknown_record_may_still_complete_it(self, world, clock):
        late = world.guard()
        lease = world.granted(attempt(), BRIEF, guard=late)
        world.dies(late)
        clock.advance(0.5)
        assert isinstance(world.begin(attempt(), BRIEF), Unknown)

        finished = world.finish(lease, paid(b"late"), BRIEF, guard=late)

        assert isinstance(finished, Stored)
        assert {b"late"} == bodies([world.begin(attempt(), BRIEF)])

    @pytest.mark.parametrize("resolved", [None, StoredResult(200, (), b"operator")])
    def test_until_somebody_settles_it(self, world, clock, resolved):
        late = world.guard()
        lease = world.granted(attempt(), BRIEF, guard=late)
        world.dies(late)
        clock.advance(0.5)
        world.begin(attempt(), BRIEF)
        world.memory.settle(Settlement(identity(), "asked", "ann", resolved))
        settled = world.record()

        finished = world.finish(lease, paid(b"late"), BRIEF, guard=late)

        assert Lost(settled) == finished
        assert settled == world.record()


class TestSilentStores:
    """What a store that does not answer may and may not lead to."""

    def fault(self, world, mishap, verb, times=1):
        world.plan.faults.append(Fault(mishap, verb, times=times))

    @pytest.mark.parametrize("mishap", Mishap)
    def test_a_mishap_on_the_claim_is_not_noticed(self, world, mishap):
        self.fault(world, mishap, "claim")

        lease = world.granted(attempt())

        assert (1, 1) == (lease.execution, world.plan.met)
        assert isinstance(world.finish(lease, paid()), Stored)
        assert isinstance(world.begin(attempt()), Replay)

    @pytest.mark.parametrize("mishap", Mishap)
    @pytest.mark.parametrize(
        ("verb", "ending", "expected"),
        [
            ("complete", paid(), Stored),
            ("release", Free("refused"), Freed),
            ("abandon", Unclear("timed out"), Parked),
        ],
    )
    def test_a_mishap_at_the_end_is_not_noticed(
        self, world, mishap, verb, ending, expected
    ):
        lease = world.granted(attempt())
        self.fault(world, mishap, verb)

        assert isinstance(world.finish(lease, ending), expected)
        assert 1 == world.plan.met

    @pytest.mark.parametrize("mishap", Mishap)
    def test_a_mishap_while_taking_over_is_not_noticed(self, world, clock, mishap):
        dead = world.guard()
        world.granted(attempt(), BRIEF_AGAIN, guard=dead)
        world.dies(dead)
        clock.advance(0.5)
        self.fault(world, mishap, "claim", times=2)

        assert 2 == world.granted(attempt(), BRIEF_AGAIN).execution

    def test_nothing_runs_without_a_word_from_the_store(self, world):
        self.fault(world, Mishap.LOST_REQUEST, "claim", times=None)
        guard = world.guard(store_timeout=BRIEF.lease)

        with pytest.raises(StoreUnavailable):
            world.begin(attempt(), guard=guard)

        assert world.memory.find(identity()) is None

    def test_a_claim_that_arrived_without_a_reply_is_let_go(self, world):
        """Nothing ran: no operator need be asked, nobody waits for the lease."""
        listening = Listening()
        self.fault(world, Mishap.LOST_REPLY, "claim", times=None)
        guard = world.guard(store_timeout=BRIEF.lease, observer=listening)
        with pytest.raises(StoreUnavailable):
            world.begin(attempt(), guard=guard)
        assert Status.IN_PROGRESS is world.record().status

        world.plan.heal()

        eventually(lambda: world.record().status is Status.RELEASED)
        assert [] == listening.heard(Recorded)
        assert isinstance(world.begin(attempt(), guard=guard), Proceed)

    @pytest.mark.parametrize("wait_for", [0.0, 0.5])
    def test_all_who_wait_for_a_silent_store_are_told_in_time(self, world, wait_for):
        self.fault(world, Mishap.LOST_REQUEST, "claim", times=None)
        guard = world.guard(store_timeout=BRIEF.lease)
        began = time.monotonic()

        waiters = [
            world.starts(attempt(), guard=guard, wait_for=wait_for) for _ in range(50)
        ]
        wait(waiters, timeout=SOON)

        took = time.monotonic() - began
        assert {StoreUnavailable} == {type(waiter.exception()) for waiter in waiters}
        assert took < 0.3 + wait_for + 4.0
        assert {} == guard._flights._flights

    def test_all_who_follow_are_told_when_the_store_goes_silent(self, world):
        world.granted(attempt())
        guard = world.guard(store_timeout=BRIEF.lease)
        waiters = [
            world.starts(attempt(), guard=guard, wait_for=0.6) for _ in range(50)
        ]
        time.sleep(0.1)
        self.fault(world, Mishap.LOST_REQUEST, "claim", times=None)
        began = time.monotonic()

        wait(waiters, timeout=SOON)

        assert all(waiter.done() for waiter in waiters)
        assert time.monotonic() - began < 0.6 + 0.3 + 4.0
        for waiter in waiters:
            error = waiter.exception()
            assert isinstance(error, StoreUnavailable) or (
                isinstance(waiter.result(), InFlight)
            )

    def test_waiters_outlast_a_short_silence(self, world):
        owner = world.granted(attempt())
        guard = world.guard()
        waiters = [world.starts(attempt(), guard=guard, wait_for=20) for _ in range(20)]
        time.sleep(0.05)
        self.fault(world, Mishap.LOST_REQUEST, "claim", times=4)

        world.finish(owner, paid(b"once"))

        assert {b"once"} == bodies(results(waiters))

    @pytest.mark.parametrize("guarantee", [AT_MOST_ONCE, *RUNS_AGAIN])
    def test_a_failing_complete_never_frees_the_key(self, world, guarantee):
        terms = policy(guarantee)
        guard = world.guard(store_timeout=BRIEF.lease)
        lease = world.granted(attempt(), terms, guard=guard)
        self.fault(world, Mishap.LOST_REQUEST, "complete", times=None)

        assert Unrecorded() == world.finish(lease, paid(), terms, guard=guard)

        assert (Status.IN_PROGRESS, lease.owner) == (
            world.record().status,
            world.record().owner,
        )
        assert isinstance(world.begin(attempt(), terms), InFlight)
        assert isinstance(world.begin(attempt(), terms, guard=guard), InFlight)

    @pytest.mark.parametrize(
        ("ending", "verb", "status"),
        [
            (paid(), "complete", Status.COMPLETED),
            (Free("refused"), "release", Status.RELEASED),
            (Unclear("timed out"), "abandon", Status.UNKNOWN),
        ],
    )
    def test_an_end_is_recorded_when_the_store_is_back(
        self, world, ending, verb, status
    ):
        listening = Listening()
        guard = world.guard(store_timeout=BRIEF.lease, observer=listening)
        lease = world.granted(attempt(), guard=guard)
        self.fault(world, Mishap.LOST_REQUEST, verb, times=None)
        world.finish(lease, ending, guard=guard)
        asked = world.plan.calls.count(verb)
        eventually(lambda: world.plan.calls.count(verb) > asked + 1)
        assert [] == listening.heard(Recorded)

        world.plan.heal()

        eventually(lambda: world.record().status is status)
        eventually(lambda: [Recorded(identity())] == listening.heard(Recorded))
        time.sleep(0.3)
        assert [Recorded(identity())] == listening.heard(Recorded)

    def test_an_end_is_tried_once_more_when_the_guard_is_closed(self, world):
        guard = world.guard(store_timeout=BRIEF.lease)
        lease = world.granted(attempt(), guard=guard)
        self.fault(world, Mishap.LOST_REQUEST, "complete", times=None)
        world.finish(lease, paid(b"late"), guard=guard)
        world.plan.heal()

        world.dies(guard)

        assert b"late" == world.record().result.body

    def test_a_late_end_is_not_called_recorded_when_another_has_the_key(
        self, world, clock
    ):
        listening = Listening()
        guard = world.guard(store_timeout=BRIEF.lease, observer=listening)
        old = world.granted(attempt(), BRIEF_AGAIN, guard=guard)
        self.fault(world, Mishap.LOST_REQUEST, "complete", times=None)
        world.finish(old, paid(b"stale"), BRIEF_AGAIN, guard=guard)
        clock.advance(0.5)
        new = world.granted(attempt(), BRIEF_AGAIN)
        world.plan.heal()
        world.finish(new, paid(b"winner"), BRIEF_AGAIN)
        tried = world.plan.calls.count("complete")
        world.dies(guard)

        assert world.plan.calls.count("complete") >= tried
        assert b"winner" == world.record().result.body
        assert [] == listening.heard(Recorded)

    def test_after_a_late_record_the_key_is_replayed_and_never_runs_again(
        self, world, clock
    ):
        guard = world.guard(store_timeout=BRIEF.lease)
        lease = world.granted(attempt(), BRIEF, guard=guard)
        self.fault(world, Mishap.LOST_REQUEST, "complete", times=None)
        world.finish(lease, paid(b"late"), BRIEF, guard=guard)
        clock.advance(0.5)
        assert isinstance(world.begin(attempt(), BRIEF), Unknown)

        world.plan.heal()

        eventually(lambda: world.record().status is Status.COMPLETED)
        assert {b"late"} == bodies([world.begin(attempt(), BRIEF)])


class TestTelling:
    def test_every_call_of_the_store_is_told(self, world):
        listening = Listening()
        guard = world.guard(observer=listening)
        world.plan.faults.append(Fault(Mishap.LOST_REPLY, "complete"))
        lease = world.granted(attempt(), guard=guard)
        world.finish(lease, paid(), guard=guard)

        told = listening.heard(StoreCalled)

        assert [("claim", False), ("complete", True), ("complete", False)] == [
            (event.verb, event.failed) for event in told
        ]
        assert {"memory"} == {event.store for event in told}
        assert all(0 <= event.took < 1 for event in told)

    def test_a_call_that_failed_says_why_and_no_scope(self, world):
        listening = Listening()
        world.plan.faults.append(Fault(Mishap.LOST_REPLY, "claim"))

        world.begin(attempt(), guard=world.guard(observer=listening))

        told = listening.heard(StoreCalled)[0]
        assert (True, True) == (told.failed, bool(told.reason))
        torn = RecordUnreadable("A record in scope 'o\\'hara' cannot be read.")
        assert "A record cannot be read." == reason_of(torn)
        assert "ValueError" == reason_of(ValueError("hush"))

    def test_who_ends_a_lease_tells_that_the_key_is_unknown(self, world, clock):
        listening = Listening()
        worker = world.guard()
        world.granted(attempt(), BRIEF, guard=worker)
        world.dies(worker)
        clock.advance(0.5)
        guard = world.guard(observer=listening)

        assert isinstance(world.begin(attempt(), BRIEF, guard=guard), Unknown)
        clock.advance(1.0)
        assert isinstance(world.begin(attempt(), BRIEF, guard=guard), Unknown)

        assert [LeaseEnded(identity())] == listening.heard(LeaseEnded)

    def test_a_guard_gives_its_store_and_its_observer(self, world):
        listening = Listening()
        guard = world.guard(observer=listening)

        assert listening is guard.observer
        assert "memory" == guard.store.traits.name

    def test_an_observer_that_raises_breaks_no_work(self, world):
        guard = world.guard(observer=Raising())

        lease = world.granted(attempt(), guard=guard)
        finished = world.finish(lease, paid(), guard=guard)

        assert isinstance(finished, Stored)
        assert Replay(finished.record) == world.begin(attempt(), guard=guard)

    def test_closing_twice_is_closing_once(self, world):
        guard = world.guard()
        world.granted(attempt(), guard=guard)

        world.start(guard.close).result(SOON)

        world.dies(guard)


def test_the_guarantee_that_began_decides_also_when_the_policy_has_changed(
    world, clock
):
    dead = world.guard()
    world.granted(attempt(), policy(AT_MOST_ONCE, lease=0.3), guard=dead)
    world.dies(dead)
    clock.advance(0.5)

    assert isinstance(world.begin(attempt(), BRIEF_AGAIN), Unknown)
