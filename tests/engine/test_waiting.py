# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Waiting for the end of work elsewhere: how seldom the store is asked."""

from __future__ import annotations

from concurrent.futures import wait
from datetime import timedelta

import pytest

from keyonce.core import transitions
from keyonce.core.decide import InFlight, Proceed, Replay, Unknown
from keyonce.core.ending import Free
from keyonce.core.errors import StoreUnavailable
from keyonce.core.model import Claimed, Fingerprint
from keyonce.core.states import Status
from keyonce.engine import flows
from keyonce.engine.commands import AnnounceEnd
from keyonce.engine.flight import Flight, Seat
from keyonce.engine.flights import Flights
from tests.engine.play import Play
from tests.engine.samples import (
    AT_LEAST_ONCE,
    AT_MOST_ONCE,
    PAID,
    attempt,
    identity,
    paid,
    policy,
)
from tests.engine.worlds import SOON, eventually

BEGAN = 1_000.0
MANY = 500
LONG = timedelta(seconds=SOON)
terms = policy().terms


def theirs(*, ago=5.0, owner=b"somebody else", **changes):
    """The answer of a store where another owner began *ago* seconds ago."""
    claim = flows._claim(attempt(), Fingerprint("2", b"same"), owner, terms, None)
    record = transitions.claim(None, claim, BEGAN).record
    return Claimed(record._replace(**changes), BEGAN + ago)


RUNNING = theirs()
DONE = theirs(status=Status.COMPLETED, result=PAID)


def plays(*answers, hears=True, wait_for=60.0):
    """Play a leader that waits; give the play and its decision."""
    play = Play(*answers)
    play.hears = hears
    flow = flows.begin(
        attempt(),
        terms,
        seat=Seat(Flight(identity()), leads=True),
        owner=b"token 0",
        now=play.now,
        wait_for=wait_for,
        store_timeout=5.0,
    )
    return play, play.play(flow)


def announcements(play):
    return [asked for asked in play.asked if isinstance(asked, AnnounceEnd)]


class TestALeaderThatHears:
    def test_has_the_end_announced_once_and_looks_rarely(self):
        play, decision = plays(RUNNING, True, RUNNING, RUNNING, DONE)

        assert Replay(DONE.record) == decision
        assert [AnnounceEnd(identity())] == announcements(play)
        assert [flows.RARELY] * 3 == play.slept
        assert 1 == play.waits

    def test_looks_when_the_lease_may_be_ended(self):
        near = theirs(ago=38.0)
        play, _ = plays(near, True, DONE)

        assert [2.0] == play.slept

    def test_asks_for_each_owner_anew(self):
        another = theirs(owner=b"another")
        play, _ = plays(RUNNING, True, another, True, DONE)

        assert 2 == len(announcements(play))

    def test_asks_again_and_again_while_the_end_is_not_announced(self):
        down = StoreUnavailable("no answer")
        play, decision = plays(RUNNING, False, RUNNING, down, RUNNING, True, DONE)

        assert Replay(DONE.record) == decision
        assert [0.02, 0.04, flows.RARELY] == play.slept

    def test_asks_five_times_and_then_only_looks(self):
        answers = [answer for _ in range(8) for answer in (RUNNING, False)]
        play, _ = plays(*answers[:10], *[RUNNING] * 3, DONE)

        assert flows.ANNOUNCEMENTS == len(announcements(play))
        assert flows.LONGEST_PAUSE == play.slept[-1]

    def test_asks_again_and_again_while_it_would_hear_nothing(self):
        play, _ = plays(RUNNING, RUNNING, DONE, hears=False)

        assert [0.02, 0.04] == play.slept
        assert [] == announcements(play)

    def test_is_told_at_once_where_too_many_wait(self):
        play, decision = plays(RUNNING, hears=None)

        assert InFlight(RUNNING.record, 5.0) == decision
        assert [] == play.slept

    def test_gives_up_when_its_patience_ends(self):
        play, decision = plays(RUNNING, True, RUNNING, wait_for=7.0)

        assert isinstance(decision, InFlight)
        assert [5.0, 2.0] == play.slept


class TestSoManyInAll:
    def test_over_all_keys_so_many_wait(self):
        flights = Flights(most_in_all=3)
        alone = [flights.sit(identity(f"alone-{n}")) for n in range(2)]
        assert [True, True] == [flights.wait_alone(seat) for seat in alone]
        flights.sit(identity())
        follower, one_more = flights.sit(identity()), flights.sit(identity())
        assert flights.listen(follower, 0, lambda: None)

        assert flights.listen(one_more, 0, lambda: None) is None
        assert not flights.wait_alone(flights.sit(identity("another")))

        flights.waited(alone[0])
        assert flights.listen(one_more, 0, lambda: None)

    def test_who_waits_already_may_go_on(self):
        flights = Flights(most_in_all=2)
        alone = flights.sit(identity("alone"))
        flights.sit(identity())
        follower = flights.sit(identity())

        for _ in range(3):
            assert flights.wait_alone(alone)
            assert flights.listen(follower, 0, lambda: None)

    @pytest.mark.parametrize("end", ["leave", "hand-over", "news"])
    def test_nobody_is_counted_for_ever(self, end):
        flights = Flights()
        leader, follower = flights.sit(identity()), flights.sit(identity())
        flights.listen(follower, 0, lambda: None)

        match end:
            case "leave":
                flights.leave(follower)
            case "hand-over":
                flights.leave(leader)
            case "news":
                flights.publish(leader, DONE, 0.0)

        assert 0 == flights._in_all

    def test_a_full_guard_answers_at_once(self, world):
        elsewhere = world.guard()
        elsewhere._flights._most_in_all = 0
        world.granted(attempt())

        answer = world.begin(attempt(), guard=elsewhere, wait_for=SOON)

        assert isinstance(answer, InFlight)
        assert ["claim", "claim"] == world.plan.calls


class TestTwoGuardsOfOneStore:
    def test_many_who_wait_elsewhere_cost_one_trip_for_the_news(self, world):
        lease, elsewhere = world.granted(attempt()), world.guard()
        waits: list[None] = []
        waiting = [
            world.start(
                lambda: elsewhere.begin(
                    attempt(),
                    policy(),
                    wait_for=LONG,
                    on_wait=lambda: waits.append(None),
                )
            )
            for _ in range(MANY)
        ]
        eventually(lambda: len(waits) == MANY and "announce" in world.plan.calls)
        before = len(world.plan.calls)

        world.finish(lease, paid())
        done, pending = wait(waiting, timeout=SOON)

        assert not pending
        assert {Replay} == {type(each.result()) for each in done}
        assert ["complete", "claim"] == world.plan.calls[before:]
        assert nobody_listens(world, elsewhere)

    def test_one_of_those_who_wait_elsewhere_runs_when_the_key_is_freed(self, world):
        lease, guards = world.granted(attempt()), [world.guard() for _ in range(3)]
        waiting = [
            world.starts(attempt(), guard=each, wait_for=SOON) for each in guards
        ]
        eventually(lambda: world.plan.calls.count("announce") == 3)

        world.finish(lease, Free("refused"))
        eventually(lambda: any(each.done() for each in waiting))
        first = next(each for each in waiting if each.done())
        again = first.result().lease
        world.finish(again, paid(), guard=guards[waiting.index(first)])

        answers = [each.result(SOON) for each in waiting]
        assert [1, 2] == [count(answers, Proceed), count(answers, Replay)]
        assert all(nobody_listens(world, each) for each in guards)

    @pytest.mark.parametrize(
        ("guarantee", "runs"), [(AT_LEAST_ONCE, 1), (AT_MOST_ONCE, 0)]
    )
    def test_the_end_of_a_lease_wakes_too(self, live, guarantee, runs):
        brief = policy(guarantee, lease=0.6)
        dying, guards = live.guard(), [live.guard() for _ in range(2)]
        live.granted(attempt(), brief, guard=dying)
        waiting = [
            live.starts(attempt(), brief, guard=each, wait_for=SOON) for each in guards
        ]
        eventually(lambda: live.plan.calls.count("announce") >= 2)
        live.dies(dying)

        eventually(lambda: any(each.done() for each in waiting))
        for guard, each in zip(guards, waiting, strict=True):
            if each.done() and isinstance(each.result(), Proceed):
                live.finish(each.result().lease, paid(), brief, guard=guard)

        answers = [each.result(SOON) for each in waiting]
        assert runs == count(answers, Proceed)
        assert 2 - runs == count(answers, Replay if runs else Unknown)


def count(answers, kind):
    return sum(isinstance(each, kind) for each in answers)


def nobody_listens(world, guard):
    """Whether no watch is left open, and nobody is counted."""
    eventually(lambda: not world.memory._shelf.wakes)
    return guard._flights._in_all == 0
