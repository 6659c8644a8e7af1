# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One store trip for many: the arrivals of one key inside one process.

The first arrival of a key leads: it talks to the store and publishes what it
heard. Those that come while it leads take a seat and decide on its news; when
the leader goes without an outcome, exactly one of the waiting ones leads next.
This is only a short cut: the store alone decides who may do the work.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from keyonce.core.model import Claimed
from keyonce.core.states import Status
from keyonce.engine.flight import Flight, Seat

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Identity


class Flights:
    """All flights of one guard. Safe to use from any thread."""

    def __init__(
        self, *, most_waiting: int = 10_000, most_in_all: int = 50_000
    ) -> None:
        """Let *most_waiting* arrivals wait for one key, *most_in_all* for all keys."""
        self._most_waiting = most_waiting
        self._most_in_all = most_in_all
        self._resets: dict[int, threading.Lock] = {}
        self._reset()

    def _reset(self) -> None:
        self._flights: dict[Identity, Flight] = {}
        self._in_all = 0
        self._lock = threading.Lock()
        self._process = os.getpid()  # last: who sees it finds the rest new

    def _after_fork(self) -> None:
        # The first of many threads gives all of them the same lock, a new one.
        with self._resets.setdefault(os.getpid(), threading.Lock()):
            if self._process != os.getpid():
                self._reset()

    def sit(self, identity: Identity) -> Seat:
        """Take a seat; the first one, or the first after a leader left, leads."""
        if self._process != os.getpid():
            self._after_fork()  # the leaders of before the fork are not in this process
        with self._lock:
            flight = self._flights.get(identity)
            if flight is None:
                flight = self._flights[identity] = Flight(identity)
                return Seat(flight, leads=True)
            if flight.led:
                return Seat(flight, leads=False)
            flight.led = True
            return Seat(flight, leads=True)

    def under_way(self, identity: Identity) -> bool:
        """Whether somebody here leads for *identity*, whose news may be heard."""
        flight = self._flights.get(identity)
        return flight is not None and flight.led

    def publish(self, seat: Seat, news: Claimed, at: float) -> None:
        """Tell the others what the leader heard from the store at *at*."""
        flight = seat.flight
        with self._lock:
            first = flight.news is None
            flight.news, flight.news_at = news, at
            flight.version += 1
            if not flight.waiting:
                return
            if not first and news.record.status is Status.IN_PROGRESS:
                return
            woken = self._wake_all(flight)
        for wake in woken:
            wake()

    def renewed(self, seat: Seat, lease_until: float) -> None:
        """Let the others hear that the lease of the leader now ends later."""
        flight = seat.flight
        with self._lock:
            if not seat.leads or flight.news is None:
                return
            record, now = flight.news
            if record.status is Status.IN_PROGRESS:
                flight.news = Claimed(record._replace(lease_until=lease_until), now)

    def news_of(self, seat: Seat, now: float) -> Claimed | None:
        """Give the leader's latest news, its clock moved on to *now*."""
        news = seat.flight.news
        if news is None:
            return None
        return Claimed(news.record, news.now + (now - seat.flight.news_at))

    def listen(self, seat: Seat, seen: int, wake: Callable[[], object]) -> bool | None:
        """Have *wake* called at the next news or when *seat* is to lead.

        False when there is nothing to wait for: newer news, or no leader (then
        this seat leads). None when too many wait already.
        """
        with self._lock:
            flight = seat.flight
            if flight.version != seen:
                return False
            if not flight.led:
                flight.led = seat.leads = True
                self._flights.setdefault(flight.identity, flight)
                return False
            if seat not in flight.waiting:
                if len(flight.waiting) >= self._most_waiting or self._is_full():
                    return None
                self._in_all += 1
            seat.wake = wake
            flight.waiting[seat] = None
            return True

    def wait_alone(self, seat: Seat) -> bool:
        """Count a leader that waits for another process; False: too many wait."""
        with self._lock:
            if not seat.counted:
                if self._is_full():
                    return False
                seat.counted = True
                self._in_all += 1
            return True

    def waited(self, seat: Seat) -> None:
        """Count that leader no more."""
        with self._lock:
            if seat.counted:
                seat.counted = False
                self._in_all -= 1

    def _is_full(self) -> bool:
        return self._in_all >= self._most_in_all

    def leave(self, seat: Seat) -> None:
        """Get up. A leader hands over to one of those that wait."""
        with self._lock:
            flight = seat.flight
            if seat in flight.waiting:
                del flight.waiting[seat]
                self._in_all -= 1
            if not seat.leads:
                return
            seat.leads = False
            if not flight.waiting:
                flight.led = False
                if self._flights.get(flight.identity) is flight:
                    del self._flights[flight.identity]
                return
            wake = self._hand_over(flight)
        if wake is not None:
            wake()

    def _hand_over(self, flight: Flight) -> Callable[[], object] | None:
        successor = next(iter(flight.waiting))
        del flight.waiting[successor]
        self._in_all -= 1
        successor.leads = True
        return successor.wake

    def _wake_all(self, flight: Flight) -> list[Callable[[], object]]:
        woken = [seat.wake for seat in flight.waiting if seat.wake is not None]
        self._in_all -= len(flight.waiting)
        flight.waiting.clear()
        return woken
