# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import pytest

from keyonce.core import transitions
from keyonce.core.model import Claimed
from keyonce.core.states import Status
from keyonce.engine import flows
from keyonce.engine.flight import Seat
from keyonce.engine.flights import Flights
from tests.engine.samples import PAID, attempt, identity, policy

RECORD = transitions.claim(
    None,
    flows._claim(attempt(), attempt().fingerprint, b"owner", policy().terms, None),
    1_000.0,
).record
RUNNING = Claimed(RECORD, 1_000.0)
DONE = Claimed(RECORD._replace(status=Status.COMPLETED, result=PAID), 1_001.0)


@pytest.fixture
def flights():
    return Flights()


def seated(flights, count):
    """A leader, and *count* others that wait for its news."""
    leader = flights.sit(identity())
    others = [flights.sit(identity()) for _ in range(count)]
    woken = []
    for seat in others:
        assert flights.listen(seat, 0, lambda seat=seat: woken.append(seat))
    return leader, others, woken


def test_the_first_to_sit_leads_and_the_others_follow(flights):
    assert [True, False, False] == [flights.sit(identity()).leads for _ in range(3)]


def test_every_key_has_its_own_leader(flights):
    assert flights.sit(identity("a")).leads
    assert flights.sit(identity("b")).leads


def test_the_first_news_wakes_all(flights):
    leader, others, woken = seated(flights, 3)

    flights.publish(leader, RUNNING, at=50.0)

    assert others == woken


def test_news_that_it_still_runs_wakes_nobody_twice(flights):
    leader, others, woken = seated(flights, 3)
    flights.publish(leader, RUNNING, at=50.0)
    seen = others[0].flight.version
    woken.clear()
    for seat in others:
        assert flights.listen(seat, seen, lambda seat=seat: woken.append(seat))

    flights.publish(leader, RUNNING, at=51.0)
    assert [] == woken

    flights.publish(leader, DONE, at=52.0)
    assert others == woken


def test_news_are_told_as_of_now(flights):
    leader, others, _ = seated(flights, 1)
    assert flights.news_of(others[0], 50.0) is None

    flights.publish(leader, RUNNING, at=50.0)

    assert Claimed(RECORD, 1_007.0) == flights.news_of(others[0], 57.0)


def test_a_renewed_lease_is_heard_of_without_waking_anybody(flights):
    leader, others, woken = seated(flights, 1)
    flights.publish(leader, RUNNING, at=50.0)
    woken.clear()
    seen = others[0].flight.version

    flights.renewed(leader, 1_500.0)

    later = RECORD._replace(lease_until=1_500.0)
    assert Claimed(later, 1_007.0) == flights.news_of(others[0], 57.0)
    assert ([], seen) == (woken, others[0].flight.version)


def test_a_lease_that_is_renewed_too_late_changes_no_outcome(flights):
    leader, others, _ = seated(flights, 1)
    flights.publish(leader, DONE, at=50.0)

    flights.renewed(leader, 1_500.0)

    assert DONE == flights.news_of(others[0], 50.0)


def test_who_leads_no_more_renews_no_news(flights):
    leader, others, _ = seated(flights, 1)
    flights.publish(leader, RUNNING, at=50.0)
    flights.leave(leader)

    flights.renewed(leader, 1_500.0)

    assert RUNNING == flights.news_of(others[0], 50.0)


def test_nobody_waits_for_news_that_are_there(flights):
    leader, others, _ = seated(flights, 1)

    flights.publish(leader, RUNNING, at=50.0)

    assert not flights.listen(others[0], 0, lambda: None)


def test_a_leader_hands_over_to_exactly_one(flights):
    leader, others, woken = seated(flights, 3)

    flights.leave(leader)

    assert others[:1] == woken
    assert [True, False, False] == [seat.leads for seat in others]
    assert not flights.sit(identity()).leads


def test_those_who_do_not_listen_lead_when_they_would(flights):
    leader = flights.sit(identity())
    follower = flights.sit(identity())
    flights.leave(leader)

    assert not flights.listen(follower, 0, lambda: None)

    assert follower.leads


def test_a_follower_that_leaves_is_not_chosen(flights):
    leader, others, woken = seated(flights, 2)

    flights.leave(others[0])
    flights.leave(leader)

    assert others[1:] == woken


def test_the_last_one_leaves_nothing_behind(flights):
    leader, others, _ = seated(flights, 5)

    for seat in [*others, leader]:
        flights.leave(seat)

    assert {} == flights._flights
    assert flights.sit(identity()).leads


def test_a_flight_is_under_way_while_somebody_leads_it(flights):
    assert not flights.under_way(identity())

    leader = flights.sit(identity())

    assert flights.under_way(identity())
    flights.leave(leader)
    assert not flights.under_way(identity())


def test_leaving_twice_is_leaving_once(flights):
    leader = flights.sit(identity())
    flights.leave(leader)
    newer = flights.sit(identity())

    flights.leave(leader)

    assert newer.leads
    assert not flights.sit(identity()).leads


def test_a_flight_that_is_led_again_takes_the_newcomers_too(flights):
    leader = flights.sit(identity())
    follower = flights.sit(identity())
    flights.leave(leader)
    flights.listen(follower, 0, lambda: None)

    newcomer = flights.sit(identity())

    assert newcomer.flight is follower.flight
    assert not newcomer.leads


def test_only_so_many_wait_for_one_key():
    flights = Flights(most_waiting=2)
    seated(flights, 2)

    assert not flights.listen(flights.sit(identity()), 0, lambda: None)


def test_any_number_of_threads_may_come_and_go_and_leave_nothing(flights):
    led: list[Seat] = []

    def visit():
        for _ in range(200):
            seat = flights.sit(identity())
            if not seat.leads and flights.listen(seat, seat.flight.version, event.set):
                event.wait(0.0001)
            if seat.leads:
                led.append(seat)
            flights.leave(seat)

    event = threading.Event()
    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert led
    assert not any(seat.leads for seat in led)
    assert {} == flights._flights
