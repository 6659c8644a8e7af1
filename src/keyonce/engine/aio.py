# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The guard for event loops."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, get_args

from keyonce.core.decide import Proceed
from keyonce.core.events import NoObserver, StoreCalled
from keyonce.core.flow import arun
from keyonce.core.model import Claimed
from keyonce.core.states import Status
from keyonce.engine import commands as c
from keyonce.engine import flows
from keyonce.engine.finished import Stored, Unrecorded
from keyonce.engine.flights import Flights
from keyonce.engine.heartbeat import Heartbeat
from keyonce.engine.tokens import fresh_token, jittered
from keyonce.engine.watching import harmless

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from keyonce.core.decide import Decision
    from keyonce.core.ending import Ending
    from keyonce.core.events import Observer
    from keyonce.core.model import Attempt, Identity, Lease, Record
    from keyonce.core.policy import Policy
    from keyonce.core.protocols import AsyncStore, Store, TokenSource
    from keyonce.engine.finished import Finished
    from keyonce.engine.flight import Seat

NO_WAIT: Final = timedelta(0)
LATE_FOR: Final = 3600.0
_SETTLED: Final = (Status.COMPLETED, Status.TOMBSTONE)


class AsyncGuard:
    """Lets one of many attempts do the work, and gives the others its outcome.

    Between ``begin`` and ``finish`` the lease is renewed in the background, up to
    the policy's *work_limit*. The guard does not own the store.
    """

    def __init__(
        self,
        store: AsyncStore,
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
        self._glance: Callable[[Identity], Claimed | None] | None = getattr(
            store, "glance", None
        )
        self._unsettled: Identity | None = None  # seen so, until somebody begins
        self._flights = Flights()
        self._seats: dict[bytes, Seat] = {}
        self._heartbeat = Heartbeat(store.blocking, self._observer, clock)
        self._at_once = self._answers()

    @property
    def store(self) -> AsyncStore:
        """The store behind this guard."""
        return self._store

    @property
    def observer(self) -> Observer:
        """Who is told what happens, as it was given."""
        return self._given

    def glance(self, attempt: Attempt) -> Decision | None:
        """Say at once, without waiting, what is settled for *attempt*.

        None where the work is not done yet, or the store cannot tell at once:
        then ``begin`` does. Nothing is claimed.

        Raises:
            RecordUnreadable: the stored record is torn or from a newer version.
        """
        identity = attempt.identity
        if self._glance is None or self._unsettled == identity:
            return None  # of many that come at once, the first has looked
        if self._flights.under_way(identity):
            return None  # the leader's news comes without a trip to the store
        found = self._glance(identity)
        if found is None or found.record.status not in _SETTLED:
            self._unsettled = identity
            return None
        return flows.compare(found, attempt, attempt.fingerprint, flows.NOBODY)[0]

    async def begin(
        self,
        attempt: Attempt,
        policy: Policy,
        *,
        wait_for: timedelta = NO_WAIT,
        on_gone: Callable[[str], None] | None = None,
    ) -> Decision:
        """Ask whether *attempt* may do the work, waiting for another one's end.

        With Proceed the lease is kept alive until ``finish``; *on_gone* hears,
        on this loop, that it was ``lost``, ``parked`` or hit the
        ``work-limit``.

        Raises:
            StoreUnavailable: nobody can say; nothing may run.
            RecordUnreadable: the stored record is torn or from a newer version.
        """
        self._unsettled = None
        terms, seat = policy.terms, self._flights.sit(attempt.identity)
        lease: Lease | None = None
        try:
            flow = flows.begin(
                attempt,
                terms,
                seat=seat,
                owner=self._tokens(),
                now=self._clock(),
                wait_for=wait_for.total_seconds(),
                store_timeout=self._store_timeout,
            )
            decision = await arun(flow, self._perform, self._at_once)
            if isinstance(decision, Proceed):
                lease = decision.lease
        finally:
            if lease is None:
                self._flights.leave(seat)
        if lease is not None:
            self._seats[lease.owner] = seat
            gone = partial(self._gone, seat, _on_loop(on_gone))
            renewed = partial(self._flights.renewed, seat)
            self._heartbeat.watch(lease, terms.work_limit, gone, renewed)
        return decision

    async def finish(self, lease: Lease, ending: Ending, policy: Policy) -> Finished:
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
            finished = await arun(flow, self._perform, self._at_once)
        finally:
            self._heartbeat.unwatch(lease)
            if isinstance(finished, Unrecorded):
                late = flows.ending_command(lease, ending, policy.terms)
                self._heartbeat.record_late(lease, late, within=LATE_FOR)
            if seat is not None:
                self._get_up(seat, finished)
        return finished

    async def winner(
        self, lease: Lease, *, wait_for: timedelta = NO_WAIT
    ) -> Record | None:
        """Wait for the outcome of whoever took the key from *lease*."""
        until = self._clock() + wait_for.total_seconds()
        flow = flows.winner(lease, until=until)
        return await arun(flow, self._perform, self._at_once)

    async def find(self, identity: Identity) -> Claimed | None:
        """Read the record of *identity* without claiming it."""
        found: Claimed | None = await self._perform(c.FindKey(identity))
        return found

    async def close(self) -> None:
        """End the heartbeat, after one more try at what is late."""
        await asyncio.to_thread(self._heartbeat.close)

    def _get_up(self, seat: Seat, finished: Finished) -> None:
        # Without anybody to be told, whoever comes next reads it in the store.
        if isinstance(finished, Stored) and seat.flight.waiting:
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

    def _answers(self) -> dict[type[Any], Callable[[Any], Any]]:
        """Say what answers which command without waiting."""
        answers: dict[type[Any], Callable[[Any], Any]] = {
            c.NewToken: lambda _: self._tokens(),
            c.Now: lambda _: self._clock(),
            c.Tell: self._publish,
            c.LetGo: self._let_go,
            c.Hear: lambda hear: self._flights.news_of(hear.seat, self._clock()),
        }
        if self._store.traits.immediate:
            store = self._store.blocking()
            call = self._timed_call(store) if self._watched else _call(store)
            answers |= dict.fromkeys(get_args(c.StoreCommand), call)
        return answers

    def _timed_call(self, store: Store) -> Callable[[c.StoreCommand], Any]:
        def call(command: c.StoreCommand) -> Any:
            with self._timing(command):
                return command.on(store)

        return call

    def _publish(self, tell: c.Tell) -> None:
        self._flights.publish(tell.seat, tell.news, self._clock())

    def _perform(self, command: Any) -> Awaitable[Any]:
        match command:
            case c.Sleep(seconds):
                return asyncio.sleep(jittered(seconds))
            case c.AwaitNews():
                return self._await_news(command)
            case _ if self._watched:
                return self._timed(command)
            case _:
                called: Awaitable[Any] = command.on(self._store)
                return called

    async def _await_news(self, command: c.AwaitNews) -> bool:
        loop = asyncio.get_running_loop()
        news: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_settle, news)

        listening = self._flights.listen(command.seat, command.seen, wake)
        if listening:
            alarm = loop.call_later(command.seconds, _settle, news)
            try:
                await news
            finally:
                alarm.cancel()
        return listening is not None

    async def _timed(self, command: c.StoreCommand) -> Any:
        with self._timing(command):
            return await command.on(self._store)

    @contextmanager
    def _timing(self, command: c.StoreCommand) -> Iterator[None]:
        started = self._clock()
        failed = True
        try:
            yield
            failed = False
        finally:
            took = self._clock() - started
            name = self._store.traits.name
            self._observer.notify(StoreCalled(name, command.verb, took, failed))


def _call(store: Store) -> Callable[[c.StoreCommand], Any]:
    return lambda command: command.on(store)


def _settle(news: asyncio.Future[None]) -> None:
    if not news.done():
        news.set_result(None)


def _on_loop(on_gone: Callable[[str], None] | None) -> Callable[[str], None] | None:
    if on_gone is None:
        return None
    loop = asyncio.get_running_loop()

    def tell(reason: str) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody is left to tell
            loop.call_soon_threadsafe(on_gone, reason)

    return tell
