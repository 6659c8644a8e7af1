# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The guard for threads."""

from __future__ import annotations

import inspect
import threading
import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, overload

from keyonce.core.decide import Proceed, Unknown
from keyonce.core.ending import Committed
from keyonce.core.errors import ConfigurationError, SettlementRefused
from keyonce.core.events import NoObserver
from keyonce.core.flow import run
from keyonce.core.model import Claimed
from keyonce.core.policy import Policy
from keyonce.engine import commands as c
from keyonce.engine import flows
from keyonce.engine.asker import Asker, check_hook
from keyonce.engine.calls import Call
from keyonce.engine.ears import Ears
from keyonce.engine.finished import Stored, Unrecorded
from keyonce.engine.flights import Flights
from keyonce.engine.heartbeat import Heartbeat
from keyonce.engine.once import Once
from keyonce.engine.outcomes import keep_of
from keyonce.engine.promised import check_store, refusal
from keyonce.engine.steps import StepBook
from keyonce.engine.together import together
from keyonce.engine.tokens import fresh_token, jittered
from keyonce.engine.transacting import Desk
from keyonce.engine.transaction import check_promise
from keyonce.engine.watching import StoreCall, harmless, introduce, only_once
from keyonce.engine.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager

    from keyonce.core.decide import Decision
    from keyonce.core.ending import Ending
    from keyonce.core.errors import IdempotencyError
    from keyonce.core.events import Observer
    from keyonce.core.model import Attempt, Fingerprint, Identity, Lease, Note, Record
    from keyonce.core.protocols import Store, TokenSource
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
        """Guard work with *store*, repeating what it does not answer for a time.

        Raises:
            ConfigurationError: it is no store for threads.
        """
        check_store(store)
        self._store = store
        self._given = observer or NoObserver()
        self._observer = harmless(self._given)
        self._watched = not isinstance(self._observer, NoObserver)
        self._guarantees = store.traits.guarantees
        introduce(store, self._observer)
        self._store_timeout = store_timeout.total_seconds()
        self._tokens = tokens
        self._clock = clock
        self._flights = Flights()
        self._ears = Ears(store, self._flights)
        self._seats: dict[bytes, Seat] = {}
        self._heartbeat = Heartbeat(lambda: store, self._observer, clock)
        self.asker = Asker(
            store, self._observer, clock, lambda owner: owner in self._seats
        )

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
        on_wait: Callable[[], object] | None = None,
        on_gone: Callable[[str], None] | None = None,
    ) -> Decision:
        """Ask whether *attempt* may do the work, waiting for another one's end.

        *on_wait* is called once, when it has to wait. With Proceed the lease is
        kept alive until ``finish``; *on_gone* hears, from another thread, that
        it was ``lost``, ``parked`` or hit the ``work-limit``.

        Where the outcome is unknown and the policy has a hook, that is asked first.

        Raises:
            ConfigurationError: the store cannot keep what *policy* declares.
            StoreUnavailable: nobody can say; nothing may run.
            RecordUnreadable: the stored record is torn or from a newer version.
        """
        if policy.guarantee not in self._guarantees:
            raise refusal(policy.guarantee, self._store.traits)
        if policy.reconcile is None:
            return self._begun(attempt, policy, wait_for, on_wait, on_gone)
        if on_wait is not None:
            on_wait = only_once(on_wait)
        decision = self._begun(attempt, policy, wait_for, on_wait, on_gone)
        if isinstance(decision, Unknown):
            if self.asker.ask(attempt.identity, policy):
                decision = self._begun(attempt, policy, wait_for, on_wait, on_gone)
            if isinstance(decision, Unknown):
                again_in = self.asker.again_in(attempt.identity)
                return Unknown(decision.record, again_in)
        return decision

    def _begun(
        self,
        attempt: Attempt,
        policy: Policy,
        wait_for: timedelta,
        on_wait: Callable[[], object] | None,
        on_gone: Callable[[str], None] | None,
    ) -> Decision:
        seat = self._flights.sit(attempt.identity)
        seat.on_wait = on_wait
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
            self._ears.close(seat)
            if not isinstance(decision, Proceed):
                self._flights.leave(seat)
        if isinstance(decision, Proceed):
            self._watch(decision.lease, policy, seat, on_gone)
        return decision

    def begin_many(
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
            run(flow, self._perform)
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
        gone = partial(self._gone, seat, on_gone)
        renewed = partial(self._flights.renewed, seat)
        self._heartbeat.watch(lease, policy.terms.work_limit, gone, renewed)

    def finish(
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
            finished = run(flow, self._perform)
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
    ) -> Callable[[Callable[P, R]], Once[P, R]]: ...

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
        connection: Callable[[], AbstractContextManager[C]],
    ) -> Callable[[Callable[Concatenate[C, P], R]], Once[P, R]]: ...

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
        connection: Callable[[], AbstractContextManager[Any]] | None = None,
    ) -> Any:
        """Guard a function: it runs once for each key, and its result is kept.

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

        def guarded(function: Callable[..., R]) -> Once[..., R]:
            if inspect.iscoroutinefunction(function):
                message = f"{name!r} is a coroutine function: use AsyncGuard."
                raise ConfigurationError(message)
            if inspect.iscoroutinefunction(rebuild):
                message = f"{name!r}: rebuild is a coroutine function: use AsyncGuard."
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
            check_hook(call.policy, name)
            self.asker.knows(call.policy_of)
            return Once(self, call, function, connection)

        return guarded

    def work(
        self,
        lease: Lease,
        request: Fingerprint,
        policy: Policy = POLICY,
        *,
        keep: Keeps | None = None,
    ) -> Work:
        """Give the handle of the work under *lease*, begun for *request*.

        *keep* says how an outcome is kept that is given inside a transaction.

        Raises:
            RecordUnreadable: what an earlier execution noted cannot be read.
        """
        ending = partial(self._heartbeat.ending, lease)
        keeps = keep or keep_of(policy)
        desk = Desk(self._store, policy, keeps, self._look, ending)
        return Work(lease, StepBook(lease, request), self._note, desk)

    def winner(self, lease: Lease, *, wait_for: timedelta = NO_WAIT) -> Record | None:
        """Wait for the outcome of whoever took the key from *lease*."""
        until = self._clock() + wait_for.total_seconds()
        flow = flows.winner(lease, until=until)
        return run(flow, self._perform)

    def find(self, identity: Identity) -> Claimed | None:
        """Read the record of *identity* without claiming it."""
        found: Claimed | None = self._perform(c.FindKey(identity))
        return found

    def forget(self, identity: Identity, *, reason: str, actor: str) -> bool:
        """Take away the record of *identity* that has ended: its key is a new one.

        Says whether there was one. *reason* and *actor* go to the audit.

        Raises:
            SettlementRefused: its work is not known to have ended.
            StoreUnavailable: the store did not answer. Asked again, it might take
                away the outcome of a later run.
        """
        command = flows.forgetting(identity, reason, actor)
        try:
            self._perform(command)
        except SettlementRefused:
            if self.find(identity) is None:
                return False
            raise
        return True

    def _note(self, note: Note) -> None:
        flow = flows.noted(note, give_up_at=self._clock() + self._store_timeout)
        run(flow, self._perform)

    def close(self) -> None:
        """End the heartbeat, after one more try at what is late."""
        self._heartbeat.close()

    def _look(self, flow: Callable[[float], Generator[c.Command, Any, Any]]) -> Any:
        under_way = flow(self._clock() + self._store_timeout)
        return run(under_way, self._perform)

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
            case c.Waits(seat):
                return None if seat.on_wait is None else seat.on_wait()
            case c.Hearken(seat):
                return self._hearken(seat)
            case c.AwaitEnd(seat, seconds, about):
                return _await_end(seat, jittered(seconds) if about else seconds)
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

    def _hearken(self, seat: Seat) -> bool | None:
        if seat.ear is not None:
            return seat.ear.hears
        woken = threading.Event()
        return self._ears.open(seat, woken, woken.set)

    def _call(self, command: c.StoreCommand) -> Any:
        if not self._watched:
            return command.on(self._store)
        name = self._store.traits.name
        with StoreCall(name, command, self._observer, self._clock) as call:
            return call.answered(command.on(self._store))


def _await_end(seat: Seat, seconds: float) -> None:
    if seat.ear is not None:
        seat.ear.woken.wait(seconds)
        seat.ear.woken.clear()
