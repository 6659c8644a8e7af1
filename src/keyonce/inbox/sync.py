# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The inbox for threads."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.decide import Proceed, Replay
from keyonce.core.ending import Free, Keep, Park
from keyonce.core.errors import (
    IdempotencyError,
    NotRun,
    OutcomeUnknown,
    RecordUnreadable,
    StoreError,
)
from keyonce.core.events import Outcome
from keyonce.core.guarantee import Guarantee
from keyonce.core.outcomes import outcome_of
from keyonce.core.rollout import Rollout, Stage
from keyonce.engine.arrival import Arrival, outcome_of_silence
from keyonce.engine.current import at, entered
from keyonce.engine.sync import Guard
from keyonce.engine.watching import harmless
from keyonce.inbox import flows
from keyonce.inbox.flows import Asking
from keyonce.inbox.message import Delivery, Message, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from keyonce.core.decide import Decision
    from keyonce.core.events import Observer
    from keyonce.core.model import Attempt, Lease
    from keyonce.core.policy import Policy
    from keyonce.core.protocols import Store
    from keyonce.inbox.flows import Hold, Met

LEASE: Final = timedelta(seconds=30)
LIMIT: Final = timedelta(minutes=15)


class Inbox:
    """Messages that are handled once, however often the broker delivers them.

    *consumer* is whose inbox it is: each consumer handles a message once. *source*
    tells apart brokers or topics whose ids may be equal. *retention* is how long a
    message is remembered; *replay_window*, how long one may be delivered again, is
    checked against it. *guarantee* holds where no connection is given; with one it
    is exactly-once. After *max_executions* runs without an end a message is dead.
    *mode* is the stage of the rollout, as in a Policy.

    Raises:
        ConfigurationError: a setting that cannot work, or that the store cannot keep.
    """

    def __init__(
        self,
        store: Store,
        *,
        consumer: str,
        retention: timedelta | str,
        source: str = "inbox",
        guarantee: Guarantee | str = Guarantee.AT_MOST_ONCE,
        replay_window: timedelta | None = None,
        max_executions: int = 5,
        lease: timedelta = LEASE,
        work_limit: timedelta = LIMIT,
        mode: Rollout | Stage | str | Callable[[], Rollout] = Stage.ENFORCE,
        observer: Observer | None = None,
    ) -> None:
        """Remember in *store* what has been handled. The store stays the caller's."""
        self._store = store
        self._guard = Guard(store, observer=observer)
        self._desk = flows.desk(
            consumer=consumer,
            retention=retention,
            source=source,
            guarantee=guarantee,
            max_executions=max_executions,
            lease=lease,
            work_limit=work_limit,
            mode=mode,
            can_join=hasattr(store, "transaction"),
        )
        self._desk.check(store.traits, replay_window)
        self._observer = harmless(self._guard.observer)

    @contextmanager
    def receive(
        self,
        message_id: str,
        *,
        key: str | None = None,
        payload: Any = None,
        connection: Any = None,
    ) -> Iterator[Delivery]:
        """Handle a message in the block if its delivery is the ``first``.

        Acknowledge after the block, and after the commit. *key* is the business
        key, where there is one. *payload* is compared with what came before.

        With *connection* effects and record are one transaction, and the guarantee
        is exactly-once. Where none is open on it, the block begins one and commits
        it; one that is open is joined, and its owner commits.

        What is raised in the block goes on, and the message is free to be delivered
        again, save where the guarantee is at-most-once: SafeToRetry frees it there.

        Raises:
            DeliveryInProgress: another worker is at it; do not acknowledge.
            MessageReused: the id came before with another payload; dead-letter it.
            DeliveryDead: it was begun too often; dead-letter it.
            OutcomeUnknown: nobody knows whether it was handled; dead-letter it.
            SafeToRetry: other transactions got in the way, and all is undone.
            LeaseLost: another worker has taken it; do not acknowledge.
            StoreUnavailable: the store did not answer; nothing has run.
            ConfigurationError: the connection is not to the store's database.
        """
        delivery, hold = self._meet(Message(message_id, key, payload), connection)
        if hold is None:
            yield delivery
            return
        try:
            with (
                at(entered(hold.lease, hold.work)),
                hold.arrival.at_work(hold.lease),
                hold.block or nullcontext(),
            ):
                yield delivery
                hold.work.check_whole()
                self._complete_inside(delivery, hold, connection)
        except BaseException as error:
            self._failed(hold, error, connection, joins=flows.joins([hold]))
            raise
        self._done(delivery, hold, joins=flows.joins([hold]))

    @contextmanager
    def receive_many(
        self, messages: Iterable[Message | str], *, connection: Any = None
    ) -> Iterator[list[Delivery]]:
        """Handle a batch: those deliveries in it that are the ``first``.

        A delivery that this worker is not to handle has its error as ``refusal``
        and is not raised. All are handled when the block ends, or none.

        Raises:
            SafeToRetry: other transactions got in the way, and all is undone.
            LeaseLost: another worker has taken one of them.
            StoreUnavailable: the store did not answer; nothing has run.
            ConfigurationError: the connection is not to the store's database.
        """
        met = self._meet_all(messages, connection)
        held = [(delivery, hold) for delivery, hold in met if hold is not None]
        try:
            with ExitStack() as blocks:
                for _, hold in held:
                    if hold.block is not None:
                        blocks.enter_context(hold.block)
                yield [delivery for delivery, _ in met]
                for delivery, hold in held:
                    self._complete_inside(delivery, hold, connection)
        except BaseException as error:
            joins = flows.joins(hold for _, hold in held)
            for _, hold in held:
                self._failed(hold, error, connection, joins=joins)
            raise
        joins = flows.joins(hold for _, hold in held)
        for delivery, hold in held:
            self._done(delivery, hold, joins=joins)

    def close(self) -> None:
        """End the heartbeat, after one more try at what is late."""
        self._guard.close()

    def _meet_all(
        self, messages: Iterable[Message | str], connection: Any
    ) -> list[Met]:
        """Claim all of a batch in one trip, as far as the store can do that."""
        policy = self._desk.policy_of(connection)
        line: list[Asking | Met] = []
        met: list[Met] = []
        begun: dict[str, Decision | IdempotencyError] = {}
        mine: dict[str, Attempt] = {}
        try:
            for message in listed(messages):
                approach = self._approach(message)
                line.append(approach)
            askings = flows.firsts(line)
            begun |= self._begin_each(askings, policy)
            for asking in line:
                if not isinstance(asking, Asking):
                    met.append(asking)
                    continue
                known = mine.get(asking.message.identifier)
                met.append(
                    self._answer(asking, begun, connection)
                    if known is None
                    else self._desk.twin(asking, known)
                )
                if met[-1][1] is not None:
                    mine[asking.message.identifier] = asking.attempt
        except BaseException:
            observed = [each for each in line[len(met) :] if isinstance(each, tuple)]
            self._give_back(policy, begun, [*met, *observed])
            raise
        return met

    def _give_back(
        self,
        policy: Policy,
        begun: dict[str, Decision | IdempotencyError],
        met: list[Any],
    ) -> None:
        """Free what was claimed for a batch that is not handled."""
        for decision in begun.values():
            if isinstance(decision, Proceed):
                self._guard.finish(decision.lease, Free("never-begun"), policy)
        for each in met:
            hold = None if isinstance(each, Asking) else each[1]
            if hold is not None:
                self._guard.finish(hold.lease, Free("never-begun"), hold.policy)

    def _begin_each(
        self, askings: list[Asking], policy: Policy
    ) -> dict[str, Decision | IdempotencyError]:
        attempts = [asking.attempt for asking in askings]
        hearers = [asking.arrival.gone for asking in askings]
        try:
            decisions = self._guard.begin_many(attempts, policy, on_gone=hearers)
        except BaseException as error:
            for asking in askings:
                asking.arrival.ended(outcome_of_silence(error))
            raise
        names = [asking.message.identifier for asking in askings]
        return dict(zip(names, decisions, strict=True))

    def _answer(
        self,
        asking: Asking,
        begun: dict[str, Decision | IdempotencyError],
        connection: Any,
    ) -> Met:
        """Say what a claim of a batch came to; a twin of one that is not held claims.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        message, _, arrival = asking
        decision = begun.pop(message.identifier, None)
        try:
            if decision is None:
                return self._begin(asking, connection)
            if isinstance(decision, IdempotencyError):
                arrival.ended(outcome_of_silence(decision))
                raise decision
            return self._decided(asking, decision, connection)
        except (NotRun, OutcomeUnknown, RecordUnreadable) as refusal:
            return flows.refused(message, refusal), None

    def _meet(self, message: Message, connection: Any) -> Met:
        """Claim the message, or say that it is done.

        Raises:
            IdempotencyError: it is not for this worker now; see ``receive``.
        """
        self._desk.policy_of(connection)
        asking = self._approach(message)
        if not isinstance(asking, Asking):
            return asking
        return self._begin(asking, connection)

    def _approach(self, message: Message) -> Asking | Met:
        """Say that the message is to be claimed, or how it runs without that."""
        desk = self._desk
        gate = desk.gate(message)
        if gate.stage is Stage.OFF:
            return flows.unguarded(message), None
        attempt = desk.attempt(message)
        arrival = Arrival(self._observer, desk.label, attempt.identity)
        if gate.looks_first and self._guard.find(attempt.identity) is None:
            gate = flows.Gate(Stage.VALIDATE)
        if gate.stage is not Stage.ENFORCE:
            return flows.unguarded(message), self._observed(attempt, arrival)
        return Asking(message, attempt, arrival)

    def _begin(self, asking: Asking, connection: Any) -> Met:
        _, attempt, arrival = asking
        policy = self._desk.policy_of(connection)
        try:
            decision = self._guard.begin(attempt, policy, on_gone=arrival.gone)
        except BaseException as error:
            arrival.ended(outcome_of_silence(error))
            raise
        return self._decided(asking, decision, connection)

    def _decided(self, asking: Asking, decision: Decision, connection: Any) -> Met:
        message, attempt, arrival = asking
        if isinstance(decision, Proceed):
            return self._claimed(message, attempt, decision.lease, arrival, connection)
        arrival.met(decision)
        if isinstance(decision, Replay):
            return self._desk.replayed(message, decision.record), None
        raise self._desk.refusal(decision)

    def _claimed(
        self,
        message: Message,
        attempt: Attempt,
        lease: Lease,
        arrival: Arrival,
        connection: Any,
    ) -> tuple[Delivery, Hold]:
        policy = self._desk.policy_of(connection)
        if self._desk.has_died(lease):
            self._guard.finish(lease, Park(flows.DEAD), policy)
            arrival.ended(Outcome.UNKNOWN)
            raise self._desk.dead()
        try:
            work = self._guard.work(lease, attempt.fingerprint, policy)
            block = None if connection is None else work.transaction(connection)
        except BaseException:
            self._guard.finish(lease, Free("never-begun"), policy)
            arrival.ended(Outcome.RELEASED)
            raise
        arrival.hears = work.gone
        undo = partial(self._guard.leave, lease, policy, late=Free("rolled-back"))
        delivery = Delivery(message, flows.JSON, lease=lease, undo=undo)
        return delivery, flows.Hold(lease, policy, arrival, work, block)

    def _observed(self, attempt: Attempt, arrival: Arrival) -> Hold | None:
        """Remember a message that runs without protection."""
        attempt, policy = flows.shadow(attempt), flows.observing(self._desk.policy)
        try:
            decision = self._guard.begin(attempt, policy)
        except StoreError:
            arrival.observed()
            return None
        if not isinstance(decision, Proceed):
            arrival.observed(outcome_of(decision))
            return None
        work = self._guard.work(decision.lease, attempt.fingerprint, policy)
        return flows.Hold(decision.lease, policy, arrival, work, observed=True)

    def _complete_inside(self, delivery: Delivery, hold: Hold, connection: Any) -> None:
        """Put the outcome into the transaction, if there is one."""
        if hold.block is None:
            return
        if not self._is_open(connection):
            raise flows.ended_inside()
        hold.work.complete(delivery.kept)

    def _done(self, delivery: Delivery, hold: Hold, *, joins: bool) -> None:
        lease, policy = hold.lease, hold.policy
        if hold.observed:
            self._guard.finish(lease, flows.OBSERVED, policy)
            hold.arrival.observed(Outcome.EXECUTED)
            return
        if joins:
            self._guard.leave(lease, policy)
            hold.arrival.ended(Outcome.EXECUTED)
            return
        ending = flows.committed(hold) or Keep(delivery.kept)
        finished = self._guard.finish(lease, ending, policy)
        hold.arrival.finished(finished, failed=False)
        flows.settled(finished)

    def _failed(
        self, hold: Hold, error: BaseException, connection: Any, *, joins: bool
    ) -> None:
        lease, policy = hold.lease, hold.policy
        if hold.observed:
            self._guard.finish(lease, Free("observed"), policy)
            hold.arrival.observed(Outcome.RELEASED)
            return
        ending = self._desk.failed(error, lease, unclear=hold.work.unclear)
        if joins:
            with suppress(Exception):  # then the transaction cannot be committed
                self._spoil(hold, connection)
            self._guard.leave(lease, policy, late=ending)
            hold.arrival.ended(Outcome.RELEASED)
            return
        finished = self._guard.finish(lease, ending, policy)
        hold.arrival.finished(finished, failed=True)

    def _spoil(self, hold: Hold, connection: Any) -> None:
        """Have a commit by the owner say that the work failed inside."""
        if self._is_open(connection):
            store: Any = self._store
            failure = flows.unfinished(hold.lease, hold.policy)
            store.joined(connection).complete(failure)

    def _is_open(self, connection: Any) -> bool:
        store: Any = self._store
        is_open: bool = store.transaction(connection).is_open()
        return is_open
