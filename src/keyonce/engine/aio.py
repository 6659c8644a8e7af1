# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The guard for event loops."""

from __future__ import annotations

import asyncio
import inspect
import time
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    ParamSpec,
    TypeVar,
    get_args,
    overload,
)

from keyonce.core.decide import Proceed, Unknown
from keyonce.core.ending import Committed
from keyonce.core.errors import ConfigurationError, SettlementRefused
from keyonce.core.events import NoObserver
from keyonce.core.flow import arun
from keyonce.core.model import Claimed
from keyonce.core.policy import Policy
from keyonce.core.states import Status
from keyonce.engine import commands as c
from keyonce.engine import flows
from keyonce.engine.aio_asker import AsyncAsker
from keyonce.engine.aio_once import AsyncOnce
from keyonce.engine.aio_transacting import AsyncDesk
from keyonce.engine.aio_work import AsyncWork
from keyonce.engine.calls import Call
from keyonce.engine.ears import Ears
from keyonce.engine.finished import Stored, Unrecorded
from keyonce.engine.flights import Flights
from keyonce.engine.heartbeat import Heartbeat
from keyonce.engine.outcomes import keep_of
from keyonce.engine.promised import check_async_store, refusal
from keyonce.engine.steps import StepBook
from keyonce.engine.together import together
from keyonce.engine.tokens import fresh_token, jittered
from keyonce.engine.transaction import check_promise
from keyonce.engine.watching import StoreCall, harmless, introduce, only_once

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
    from contextlib import AbstractAsyncContextManager

    from keyonce.core.decide import Decision
    from keyonce.core.ending import Ending
    from keyonce.core.errors import IdempotencyError
    from keyonce.core.events import Observer
    from keyonce.core.model import Attempt, Fingerprint, Identity, Lease, Note, Record
    from keyonce.core.protocols import AsyncStore, Store, TokenSource
    from keyonce.engine.finished import Finished
    from keyonce.engine.flight import Seat
    from keyonce.engine.outcomes import Keeps
    from keyonce.engine.results import ResultCodec

C = TypeVar("C")
P = ParamSpec("P")
R = TypeVar("R")

NO_WAIT: Final = timedelta(0)
FUNCTIONS: Final = "functions"  # the scope of calls that belong to nobody else
POLICY: Final = Policy()
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
        """Guard work with *store*, repeating what it does not answer for a time.

        Raises:
            ConfigurationError: it is no store for event loops.
        """
        check_async_store(store)
        self._store = store
        self._given = observer or NoObserver()
        self._observer = harmless(self._given)
        self._watched = not isinstance(self._observer, NoObserver)
        self._guarantees = store.traits.guarantees
        introduce(store, self._observer)
        self._store_timeout = store_timeout.total_seconds()
        self._tokens = tokens
        self._clock = clock
        self._glance: Callable[[Identity], Claimed | None] | None = getattr(
            store, "glance", None
        )
        self._unsettled: Identity | None = None  # seen so, until somebody begins
        self._flights = Flights()
        self._ears = Ears(store, self._flights)
        self._seats: dict[bytes, Seat] = {}
        self._heartbeat = Heartbeat(store.blocking, self._observer, clock)
        self.asker = AsyncAsker(
            store, self._observer, clock, lambda owner: owner in self._seats
        )
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
        on_wait: Callable[[], object] | None = None,
        on_gone: Callable[[str], None] | None = None,
    ) -> Decision:
        """Ask whether *attempt* may do the work, waiting for another one's end.

        *on_wait* is called once, when it has to wait. With Proceed the lease is
        kept alive until ``finish``; *on_gone* hears, on this loop, that it was
        ``lost``, ``parked`` or hit the ``work-limit``.

        Where the outcome is unknown and the policy has a hook, that is asked first.

        Raises:
            ConfigurationError: the store cannot keep what *policy* declares.
            StoreUnavailable: nobody can say; nothing may run.
            RecordUnreadable: the stored record is torn or from a newer version.
        """
        if policy.guarantee not in self._guarantees:
            raise refusal(policy.guarantee, self._store.traits)
        if policy.reconcile is None:
            return await self._begun(attempt, policy, wait_for, on_wait, on_gone)
        if on_wait is not None:
            on_wait = only_once(on_wait)
        decision = await self._begun(attempt, policy, wait_for, on_wait, on_gone)
        if isinstance(decision, Unknown):
            if await self.asker.ask(attempt.identity, policy):
                begun = self._begun(attempt, policy, wait_for, on_wait, on_gone)
                decision = await begun
            if isinstance(decision, Unknown):
                again_in = self.asker.again_in(attempt.identity)
                return Unknown(decision.record, again_in)
        return decision

    async def _begun(
        self,
        attempt: Attempt,
        policy: Policy,
        wait_for: timedelta,
        on_wait: Callable[[], object] | None,
        on_gone: Callable[[str], None] | None,
    ) -> Decision:
        self._unsettled = None
        terms, seat = policy.terms, self._flights.sit(attempt.identity)
        seat.on_wait = on_wait
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
            if seat.ear is not None:
                self._ears.close(seat)
            if lease is None:
                self._flights.leave(seat)
        if lease is not None:
            self._watch(lease, policy, seat, on_gone)
        return decision

    async def begin_many(
        self,
        attempts: Sequence[Attempt],
        policy: Policy,
        *,
        on_gone: Sequence[Callable[[str], None]],
    ) -> list[Decision | IdempotencyError]:
        """Begin like ``begin``, many at once; no hook of *policy* is asked.

        The claims travel as one where the store can do that. Each attempt has an
        answer of its own, an error that ``begin`` would raise as well. No two are of
        one identity; *on_gone* has a hearer for each.

        Raises:
            ConfigurationError: the store cannot keep what *policy* declares.
        """
        if policy.guarantee not in self._guarantees:
            raise refusal(policy.guarantee, self._store.traits)
        seats = [self._flights.sit(attempt.identity) for attempt in attempts]
        ends: list[Decision | IdempotencyError | None] = [None] * len(seats)
        whole = False
        try:
            begun = flows.begin_each(
                attempts,
                policy.terms,
                seats=seats,
                owners=[self._tokens() for _ in seats],
                now=self._clock(),
                store_timeout=self._store_timeout,
            )
            flow = together(begun, ends, batches=hasattr(self._store, "claim_many"))
            await arun(flow, self._perform, self._at_once)
            whole = True
        finally:
            for seat, end, hearer in zip(seats, ends, on_gone, strict=True):
                if whole and isinstance(end, Proceed):
                    self._watch(end.lease, policy, seat, hearer)
                    continue
                self._flights.leave(seat)
                if isinstance(end, Proceed):
                    late = c.ReleaseKey.never_begun(end.lease)
                    self._heartbeat.let_go(end.lease, late, within=LATE_FOR)
        return [end for end in ends if end is not None]

    def _watch(
        self,
        lease: Lease,
        policy: Policy,
        seat: Seat,
        on_gone: Callable[[str], None] | None,
    ) -> None:
        self._seats[lease.owner] = seat
        gone = partial(self._gone, seat, _on_loop(on_gone))
        renewed = partial(self._flights.renewed, seat)
        self._heartbeat.watch(lease, policy.terms.work_limit, gone, renewed)

    async def finish(
        self, lease: Lease, ending: Ending | Committed, policy: Policy
    ) -> Finished:
        """Write how the work under *lease* ended.

        What is committed already is only told to who waits. A store that does not
        answer is asked again for the store timeout, then behind the scenes; the key
        is never freed because of that.
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
            if isinstance(ending, Committed):
                finished = Stored(ending.record)
            elif isinstance(finished, Unrecorded):
                late = flows.ending_command(lease, ending, policy.terms)
                self._heartbeat.record_late(lease, late, within=LATE_FOR)
            if seat is not None:
                self._get_up(seat, finished)
        return finished

    def leave(
        self, lease: Lease, policy: Policy, *, late: Ending | None = None
    ) -> None:
        """Renew *lease* no more: its end stands in a transaction of the caller's.

        *late* is carried out behind the scenes, for the case that the transaction
        was rolled back; where it was committed, that changes nothing.
        """
        seat = self._seats.pop(lease.owner, None)
        self._heartbeat.unwatch(lease)
        if late is not None:
            command = flows.ending_command(lease, late, policy.terms)
            self._heartbeat.let_go(lease, command, within=LATE_FOR)
        if seat is not None:
            self._flights.leave(seat)

    @overload
    def once(
        self,
        name: str,
        *,
        key: Callable[..., object],
        scope: str | Callable[..., str] = FUNCTIONS,
        fingerprint: Callable[..., Any] | None = None,
        policy: Policy = POLICY,
        codec: ResultCodec | None = None,
        errors: tuple[type[Exception], ...] = (),
        rebuild: Callable[[str], Any] | None = None,
    ) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], AsyncOnce[P, R]]: ...

    @overload
    def once(
        self,
        name: str,
        *,
        key: Callable[..., object],
        scope: str | Callable[..., str] = FUNCTIONS,
        fingerprint: Callable[..., Any] | None = None,
        policy: Policy = POLICY,
        codec: ResultCodec | None = None,
        errors: tuple[type[Exception], ...] = (),
        rebuild: Callable[[str], Any] | None = None,
        connection: Callable[[], AbstractAsyncContextManager[C]],
    ) -> Callable[
        [Callable[Concatenate[C, P], Coroutine[Any, Any, R]]], AsyncOnce[P, R]
    ]: ...

    def once(
        self,
        name: str,
        *,
        key: Callable[..., object],
        scope: str | Callable[..., str] = FUNCTIONS,
        fingerprint: Callable[..., Any] | None = None,
        policy: Policy = POLICY,
        codec: ResultCodec | None = None,
        errors: tuple[type[Exception], ...] = (),
        rebuild: Callable[[str], Any] | None = None,
        connection: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
    ) -> Any:
        """Guard a coroutine function: it runs once for each key, its result is kept.

        *name* is the operation; it is stored, so it stays when the function is
        renamed. *key*, *scope* and *fingerprint* are called with the arguments:
        whose key it is, the key, and what has to be equal in every call under it
        (by default all arguments). *errors* are exceptions that are an outcome:
        kept under every guarantee and raised again. *codec* is chosen by the return
        annotation if there is none.

        Under exactly-once *connection* gives a connection to the store's database
        when it is entered. The function gets it before its arguments and runs in a
        transaction, which its result is stored in; the whole is run anew, at most
        twice, where other transactions get in its way. Without *connection* the
        function does that by ``work.transaction``. *rebuild* makes the result out of
        the reference that ``work.complete(reference=...)`` kept in its place.

        Raises:
            ConfigurationError: it cannot be guarded like this.
        """
        check_promise(name, policy, self._store, connected=connection is not None)

        def guarded(
            function: Callable[..., Coroutine[Any, Any, R]],
        ) -> AsyncOnce[..., R]:
            if not inspect.iscoroutinefunction(function):
                message = f"{name!r} is no coroutine function: use Guard."
                raise ConfigurationError(message)
            call = Call(
                function,
                name,
                key=key,
                scope=scope,
                fingerprint=fingerprint,
                policy=policy,
                traits=self._store.traits,
                codec=codec,
                errors=errors,
                connected=connection is not None,
                rebuild=rebuild,
            )
            self.asker.knows(call.policy_of)
            return AsyncOnce(self, call, function, connection)

        return guarded

    def work(
        self,
        lease: Lease,
        request: Fingerprint,
        policy: Policy = POLICY,
        *,
        keep: Keeps | None = None,
    ) -> AsyncWork:
        """Give the handle of the work under *lease*, begun for *request*.

        *keep* says how an outcome is kept that is given inside a transaction.

        Raises:
            RecordUnreadable: what an earlier execution noted cannot be read.
        """
        ending = partial(self._heartbeat.ending, lease)
        keeps = keep or keep_of(policy)
        desk = AsyncDesk(self._store, policy, keeps, self._look, ending)
        return AsyncWork(lease, StepBook(lease, request), self._note, desk)

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

    async def forget(self, identity: Identity, *, reason: str, actor: str) -> bool:
        """Take away the record of *identity* that has ended: its key is a new one.

        Says whether there was one. *reason* and *actor* go to the audit.

        Raises:
            SettlementRefused: its work is not known to have ended.
            StoreUnavailable: the store did not answer. Asked again, it might take
                away the outcome of a later run.
        """
        command = flows.forgetting(identity, reason, actor)
        try:
            await self._perform(command)
        except SettlementRefused:
            if await self.find(identity) is None:
                return False
            raise
        return True

    async def _note(self, note: Note) -> None:
        flow = flows.noted(note, give_up_at=self._clock() + self._store_timeout)
        await arun(flow, self._perform, self._at_once)

    async def close(self) -> None:
        """End the heartbeat, after one more try at what is late, and askings."""
        await self.asker.close()
        await asyncio.to_thread(self._heartbeat.close)

    async def _look(
        self, flow: Callable[[float], Generator[c.Command, Any, Any]]
    ) -> Any:
        under_way = flow(self._clock() + self._store_timeout)
        return await arun(under_way, self._perform, self._at_once)

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
            c.Waits: _waits,
            c.Hearken: self._hearken,
            c.Hear: lambda hear: self._flights.news_of(hear.seat, self._clock()),
        }
        if self._store.traits.immediate:
            store = self._store.blocking()
            call = self._timed_call(store) if self._watched else _call(store)
            answers |= dict.fromkeys(get_args(c.StoreCommand), call)
        return answers

    def _timed_call(self, store: Store) -> Callable[[c.StoreCommand], Any]:
        def call(command: c.StoreCommand) -> Any:
            with self._timing(command) as timed:
                return timed.answered(command.on(store))

        return call

    def _publish(self, tell: c.Tell) -> None:
        self._flights.publish(tell.seat, tell.news, self._clock())

    def _perform(self, command: Any) -> Awaitable[Any]:
        match command:
            case c.Sleep(seconds):
                return asyncio.sleep(jittered(seconds))
            case c.AwaitNews():
                return self._await_news(command)
            case c.AwaitEnd(seat, seconds, about):
                return _await_end(seat, jittered(seconds) if about else seconds)
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

    def _hearken(self, command: c.Hearken) -> bool | None:
        seat = command.seat
        if seat.ear is not None:
            return seat.ear.hears
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(woken.set)

        return self._ears.open(seat, woken, wake)

    async def _timed(self, command: c.StoreCommand) -> Any:
        with self._timing(command) as timed:
            return timed.answered(await command.on(self._store))

    def _timing(self, command: c.StoreCommand) -> StoreCall:
        return StoreCall(self._store.traits.name, command, self._observer, self._clock)


def _call(store: Store) -> Callable[[c.StoreCommand], Any]:
    return lambda command: command.on(store)


def _waits(command: c.Waits) -> None:
    if command.seat.on_wait is not None:
        command.seat.on_wait()


async def _await_end(seat: Seat, seconds: float) -> None:
    if seat.ear is None:
        return
    woken: asyncio.Event = seat.ear.woken
    alarm = asyncio.get_running_loop().call_later(seconds, woken.set)
    try:
        await woken.wait()
    finally:
        alarm.cancel()
    woken.clear()


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
