# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The guard for threads."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.decide import Proceed
from keyonce.core.events import NoObserver, StoreCalled
from keyonce.core.flow import run
from keyonce.core.model import Claimed
from keyonce.engine import commands as c
from keyonce.engine import flows
from keyonce.engine.finished import Stored, Unrecorded
from keyonce.engine.flights import Flights
from keyonce.engine.heartbeat import Heartbeat
from keyonce.engine.tokens import fresh_token, jittered
from keyonce.engine.watching import harmless

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.decide import Decision
    from keyonce.core.ending import Ending
    from keyonce.core.events import Observer
    from keyonce.core.model import Attempt, Identity, Lease, Record
    from keyonce.core.policy import Policy
    from keyonce.core.protocols import Store, TokenSource
    from keyonce.engine.finished import Finished
    from keyonce.engine.flight import Seat

NO_WAIT: Final = timedelta(0)
LATE_FOR: Final = 3600.0


class Guard:
    """Lets one of many attempts do the work, and gives the others its outcome.

    Between ``begin`` and ``finish`` the lease is renewed in the background, up to
    the policy's *work_limit*. The guard does not own the store.
    """

    def __init__(
        self,
        store: Store,
        *,
        observer: Observer | None = None,
        store_timeout: timedelta = timedelta(seconds=5),
        tokens: TokenSource = fresh_token,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Guard work with *store*, repeating what it does not answer for a time."""
        self._store = store
        self._given = observer or NoObserver()
        self._observer = harmless(self._given)
        self._watched = not isinstance(self._observer, NoObserver)
        self._store_timeout = store_timeout.total_seconds()
        self._tokens = tokens
        self._clock = clock
        self._flights = Flights()
        self._seats: dict[bytes, Seat] = {}
        self._heartbeat = Heartbeat(lambda: store, self._observer, clock)

    @property
    def store(self) -> Store:
        """The store behind this guard."""
        return self._store

    @property
    def observer(self) -> Observer:
        """Who is told what happens, as it was given."""
        return self._given

    def begin(
        self,
        attempt: Attempt,
        policy: Policy,
        *,
        wait_for: timedelta = NO_WAIT,
        on_gone: Callable[[str], None] | None = None,
    ) -> Decision:
        """Ask whether *attempt* may do the work, waiting for another one's end.

        With Proceed the lease is kept alive until ``finish``; *on_gone* hears,
        from another thread, that it was ``lost``, ``parked`` or hit the
        ``work-limit``.

        Raises:
            StoreUnavailable: nobody can say; nothing may run.
            RecordUnreadable: the stored record is torn or from a newer version.
        """
        seat = self._flights.sit(attempt.identity)
        decision: Decision | None = None
        try:
            flow = flows.begin(
                attempt,
                policy.terms,
                seat=seat,
                owner=self._tokens(),
                now=self._clock(),
                wait_for=wait_for.total_seconds(),
                store_timeout=self._store_timeout,
            )
            decision = run(flow, self._perform)
        finally:
            if not isinstance(decision, Proceed):
                self._flights.leave(seat)
        if isinstance(decision, Proceed):
            self._seats[decision.lease.owner] = seat
            limit = policy.terms.work_limit
            gone = partial(self._gone, seat, on_gone)
            renewed = partial(self._flights.renewed, seat)
            self._heartbeat.watch(decision.lease, limit, gone, renewed)
        return decision

    def finish(self, lease: Lease, ending: Ending, policy: Policy) -> Finished:
        """Write how the work under *lease* ended.

        A store that does not answer is asked again for the store timeout, then
        behind the scenes; the key is never freed because of that.
        """
        give_up_at = self._clock() + self._store_timeout
        flow = flows.finish(lease, ending, policy.terms, give_up_at=give_up_at)
        seat = self._seats.pop(lease.owner, None)
        self._heartbeat.ending(lease)
        finished: Finished = Unrecorded()  # also when this is interrupted
        try:
            finished = run(flow, self._perform)
        finally:
            self._heartbeat.unwatch(lease)
            if isinstance(finished, Unrecorded):
                late = flows.ending_command(lease, ending, policy.terms)
                self._heartbeat.record_late(lease, late, within=LATE_FOR)
            if seat is not None:
                self._get_up(seat, finished)
        return finished

    def winner(self, lease: Lease, *, wait_for: timedelta = NO_WAIT) -> Record | None:
        """Wait for the outcome of whoever took the key from *lease*."""
        until = self._clock() + wait_for.total_seconds()
        flow = flows.winner(lease, until=until)
        return run(flow, self._perform)

    def find(self, identity: Identity) -> Claimed | None:
        """Read the record of *identity* without claiming it."""
        found: Claimed | None = self._perform(c.FindKey(identity))
        return found

    def close(self) -> None:
        """End the heartbeat, after one more try at what is late."""
        self._heartbeat.close()

    def _get_up(self, seat: Seat, finished: Finished) -> None:
        if isinstance(finished, Stored):
            record = finished.record
            news = Claimed(record, record.ended_at or record.claimed_at)
            self._flights.publish(seat, news, self._clock())
        self._flights.leave(seat)

    def _let_go(self, command: c.LetGo) -> None:
        lease = flows.lease_in_vain(command.claim)
        self._heartbeat.let_go(lease, command.release(), within=LATE_FOR)

    def _gone(
        self, seat: Seat, on_gone: Callable[[str], None] | None, reason: str
    ) -> None:
        self._flights.leave(seat)  # what it told the others holds no more
        if on_gone is not None:
            on_gone(reason)

    def _perform(self, command: c.Command) -> Any:
        match command:
            case c.NewToken():
                return self._tokens()
            case c.Now():
                return self._clock()
            case c.Sleep(seconds):
                return time.sleep(jittered(seconds))
            case c.AwaitNews():
                return self._await_news(command)
            case c.Tell(seat, news):
                return self._flights.publish(seat, news, self._clock())
            case c.LetGo():
                return self._let_go(command)
            case c.Hear(seat):
                return self._flights.news_of(seat, self._clock())
            case _:
                return self._call(command)

    def _await_news(self, command: c.AwaitNews) -> bool:
        news = threading.Event()
        listening = self._flights.listen(command.seat, command.seen, news.set)
        if listening:
            news.wait(command.seconds)
        return listening is not None

    def _call(self, command: c.StoreCommand) -> Any:
        if not self._watched:
            return command.on(self._store)
        started = self._clock()
        failed = True
        try:
            answer = command.on(self._store)
            failed = False
        finally:
            took = self._clock() - started
            name = self._store.traits.name
            self._observer.notify(StoreCalled(name, command.verb, took, failed))
        return answer
