# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Guarded functions: one run for each key, the same outcome for every call."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from keyonce.core.attending import current
from keyonce.core.errors import (
    ConfigurationError,
    InProgress,
    KeyReused,
    OutcomeUnknown,
    ResultNotEncodable,
    ResultNotKept,
    SafeToRetry,
    SettlementRefused,
    StoreUnavailable,
    WorkFailed,
)
from keyonce.core.events import Arrived, Ended, Outcome, Started
from keyonce.core.guarantee import Guarantee
from keyonce.core.policy import Policy
from keyonce.core.rollout import Rollout, Stage
from keyonce.core.states import Status
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.current import current_downstream_key
from keyonce.engine.sync import Guard
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.telemetry.logs import KeyFilter
from keyonce.telemetry.prometheus import PrometheusObserver
from keyonce.testing.faults import Fault, Mishap
from tests.engine.works import LEAST, MOST, RESUME, Place

GUARANTEES = [MOST, LEAST, RESUME]
WAIT = Policy(in_flight="wait", patience=timedelta(seconds=20))  # type: ignore[arg-type]


class Declined(Exception):
    pass


class Listening:
    def __init__(self):
        self.events = []

    def notify(self, event, /):
        self.events.append(event)

    def heard(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture(params=[False, True], ids=["threads", "loop"])
def place(request):
    place = Place(aio=request.param)
    yield place
    place.close()


@pytest.fixture
def guard():
    guard = Guard(MemoryStore())
    yield guard
    guard.close()


def working(do):
    """Make work without steps of *do*."""

    def work(order):
        return do(order)
        yield

    return work


def counting(raises=None):
    runs = []

    def do(order):
        runs.append(order)
        if raises is not None:
            raise raises
        return {"paid": order, "pair": (1, 2)}

    return runs, working(do)


class Order:
    def number(self):
        return 1


async def later(_order):
    return "order-1"


class TestKeys:
    @pytest.mark.parametrize(
        "key",
        [
            later,
            lambda order: order,
            lambda order: order.number,
            lambda order: ("order", order),
            lambda order: {"a", "b"},
        ],
        ids=["coroutine", "object", "method", "tuple", "set"],
    )
    @pytest.mark.filterwarnings("ignore:coroutine")
    def test_what_reads_otherwise_in_every_process_is_refused(self, place, key):
        runs, work = counting()
        pay = place.once(work, key=key, fingerprint=lambda order: 1)

        with pytest.raises(ConfigurationError, match="no retry would find it"):
            pay(Order())

        assert [] == runs

    @pytest.mark.parametrize("key", [7, UUID(int=7), Decimal("7.0"), ("a", 7)])
    def test_what_has_a_lasting_text_is_fine(self, place, key):
        runs, work = counting()
        pay = place.once(work, key=lambda order: key)

        pay("order-1")
        pay("order-1")

        assert ["order-1"] == runs

    def test_a_scope_that_is_no_text_is_refused(self, place):
        runs, work = counting()
        pay = place.once(work, scope=lambda order: None)

        with pytest.raises(ConfigurationError, match="id of a tenant"):
            pay("order-1")

        assert [] == runs


class TestResults:
    @pytest.mark.parametrize("policy", GUARANTEES, ids=lambda p: str(p.guarantee))
    def test_the_first_call_and_every_later_one_get_the_same(self, place, policy):
        runs, work = counting()
        pay = place.once(work, policy=policy)

        answers = [pay("order-1") for _ in range(3)]

        assert [{"paid": "order-1", "pair": [1, 2]}] * 3 == answers
        assert ["order-1"] == runs
        assert Status.COMPLETED is pay.status("order-1")

    def test_other_arguments_under_the_key_are_refused(self, place):
        runs, work = counting()
        pay = place.once(work, key=lambda order: "one")
        pay("order-1")

        with pytest.raises(KeyReused):
            pay("order-2")
        assert ["order-1"] == runs

    def test_scopes_do_not_meet(self, place):
        runs, work = counting()
        pay = place.once(work, key=lambda order: "one", scope=lambda order: order)

        pay("ann")
        pay("bob")

        assert ["ann", "bob"] == runs

    def test_a_result_that_is_no_json_is_refused(self, place):
        with pytest.raises(ResultNotEncodable, match="set"):
            place.once(working(lambda order: {1, 2}))("order-1")

    def test_a_result_too_large_reaches_the_first_caller_alone(self, place):
        policy = Policy(max_response=10)
        pay = place.once(working(lambda order: "x" * 50), policy=policy)

        assert "x" * 50 == pay("order-1")
        with pytest.raises(ResultNotKept):
            pay("order-1")

    def test_before_the_first_call_a_key_has_no_status(self, place):
        assert place.once(counting()[1]).status("order-1") is None


class TestForgetting:
    def test_lets_the_next_call_run(self, place):
        runs, work = counting()
        pay = place.once(work)
        pay("order-1")

        assert pay.forget("the wrong currency", "order-1") is True

        assert pay.status("order-1") is None
        pay("order-1")
        assert ["order-1"] * 2 == runs

    def test_is_in_the_audit(self, place):
        pay = place.once(counting()[1])
        pay("order-1")

        pay.forget(" the wrong currency ", "order-1")

        [row] = place.memory.audits()
        assert ("code of 'pay'", "forget", "the wrong currency", "completed") == (
            row.actor,
            row.action,
            row.reason,
            row.before,
        )

    def test_of_what_never_ran_says_so(self, place):
        pay = place.once(counting()[1])

        assert pay.forget("the wrong currency", "order-1") is False
        assert [] == place.memory.audits()

    def test_says_why(self, place):
        pay = place.once(counting()[1])
        pay("order-1")

        with pytest.raises(ConfigurationError, match="why"):
            pay.forget("  ", "order-1")
        assert Status.COMPLETED is pay.status("order-1")

    def test_is_not_for_what_nobody_knows(self, place):
        _, work = counting(OutcomeUnknown("lost"))
        pay = place.once(work, policy=MOST)
        with pytest.raises(OutcomeUnknown):
            pay("order-1")

        with pytest.raises(SettlementRefused, match="resolve or release"):
            pay.forget("the wrong currency", "order-1")
        assert Status.UNKNOWN is pay.status("order-1")

    def test_is_not_for_work_under_way(self, guard):
        @guard.once("pay", key=lambda order: order)
        def pay(order: str) -> str:
            with pytest.raises(SettlementRefused, match="under way"):
                pay.forget("the wrong currency", order)
            return order

        assert "order-1" == pay("order-1")

    async def test_is_not_for_work_under_way_on_a_loop(self):
        guard = AsyncGuard(AsyncMemoryStore())

        @guard.once("pay", key=lambda order: order)
        async def pay(order: str) -> str:
            with pytest.raises(SettlementRefused, match="under way"):
                await pay.forget("the wrong currency", order)
            return order

        assert "order-1" == await pay("order-1")
        await guard.close()

    def test_is_tried_once(self, place):
        pay = place.once(counting()[1])
        pay("order-1")
        place.plan.faults.append(Fault(Mishap.LOST_REPLY, "settle"))

        with pytest.raises(StoreUnavailable):
            pay.forget("the wrong currency", "order-1")

        assert pay.status("order-1") is None
        assert 1 == place.plan.calls.count("settle")

    def test_gives_other_downstream_keys(self, place):
        sent = []

        def send(order):
            sent.append(current_downstream_key())

        def work(order):
            yield ("send", send, order)

        pay = place.once(work)
        pay("order-1")
        place.clock.advance(1)
        pay.forget("the wrong currency", "order-1")
        pay("order-1")

        assert 2 == len(set(sent))

    def test_knows_whose_method_it_is(self, guard):
        class Shop:
            def __init__(self, name: str) -> None:
                self.name = name

            @guard.once("pay", key=lambda self, order: f"{self.name} {order}")
            def pay(self, order: str) -> str:
                return order

        one, two = Shop("one"), Shop("two")
        one.pay("order-1")

        assert two.pay.forget("the wrong currency", "order-1") is False
        assert one.pay.forget("the wrong currency", "order-1") is True


class TestExceptions:
    @pytest.mark.parametrize("policy", [LEAST, RESUME], ids=["least", "resume"])
    def test_free_the_key_where_work_runs_again(self, place, policy):
        runs, work = counting(OSError("gone"))
        pay = place.once(work, policy=policy)

        for _ in range(2):
            with pytest.raises(OSError, match="gone"):
                pay("order-1")

        assert 2 == len(runs)
        assert Status.RELEASED is pay.status("order-1")

    def test_are_the_outcome_under_at_most_once(self, place):
        runs, work = counting(OSError("gone"))
        pay = place.once(work, policy=MOST)
        with pytest.raises(OSError, match="gone"):
            pay("order-1")

        with pytest.raises(WorkFailed, match="OSError: gone") as again:
            pay("order-1")

        assert "OSError" == again.value.kind
        assert 1 == len(runs)

    @pytest.mark.parametrize("policy", GUARANTEES, ids=lambda p: str(p.guarantee))
    def test_that_are_declared_are_the_outcome_and_raised_again(self, place, policy):
        runs, work = counting(Declined("51"))
        pay = place.once(work, policy=policy, errors=(Declined,))

        for _ in range(2):
            with pytest.raises(Declined, match="51"):
                pay("order-1")

        assert 1 == len(runs)

    @pytest.mark.parametrize("policy", GUARANTEES, ids=lambda p: str(p.guarantee))
    def test_that_vouch_for_nothing_free_the_key(self, place, policy):
        runs, work = counting(SafeToRetry("never asked"))
        pay = place.once(work, policy=policy, errors=(Exception,))

        for _ in range(2):
            with pytest.raises(SafeToRetry):
                pay("order-1")

        assert 2 == len(runs)

    @pytest.mark.parametrize(
        ("policy", "status"),
        [(MOST, Status.UNKNOWN), (LEAST, Status.RELEASED), (RESUME, Status.RELEASED)],
    )
    def test_from_outside_are_an_unclear_end(self, place, policy, status):
        _, work = counting(asyncio.CancelledError())
        pay = place.once(work, policy=policy)
        with pytest.raises(asyncio.CancelledError):
            pay("order-1")

        assert status is pay.status("order-1")
        if status is Status.UNKNOWN:
            with pytest.raises(OutcomeUnknown):
                pay("order-1")

    def test_nothing_runs_without_the_store(self, place):
        runs, work = counting()
        place.plan.faults.append(Fault(verb="claim", times=None))
        guard = place.guard(store_timeout=timedelta(milliseconds=50))

        with pytest.raises(StoreUnavailable):
            place.once(work, guard=guard)("order-1")
        assert [] == runs


class TestInFlight:
    def test_a_thread_is_told_or_waits(self, guard):
        begun, go = threading.Event(), threading.Event()
        runs = []

        def work(order):
            runs.append(order)
            begun.set()
            assert go.wait(20)
            return "paid"

        once: Any = {"key": lambda order: order}
        pay = guard.once("pay", policy=WAIT, **once)(work)
        hasty = guard.once("pay", policy=MOST, **once)(work)
        with ThreadPoolExecutor() as pool:
            first = pool.submit(pay, "order-1")
            assert begun.wait(20)
            with pytest.raises(InProgress) as told:
                hasty("order-1")
            waiters = [pool.submit(pay, "order-1") for _ in range(4)]
            go.set()

            answers = [call.result(20) for call in (first, *waiters)]

        assert ["paid"] * 5 == answers
        assert ["order-1"] == runs
        assert told.value.retry_after > 0

    async def test_a_task_is_told_or_waits(self):
        guard = AsyncGuard(AsyncMemoryStore())
        begun, go = asyncio.Event(), asyncio.Event()
        runs = []

        async def work(order):
            runs.append(order)
            begun.set()
            await go.wait()
            return "paid"

        once: Any = {"key": lambda order: order}
        pay = guard.once("pay", policy=WAIT, **once)(work)
        hasty = guard.once("pay", policy=MOST, **once)(work)
        first = asyncio.create_task(pay("order-1"))
        await begun.wait()
        with pytest.raises(InProgress):
            await hasty("order-1")
        waiters = [asyncio.create_task(pay("order-1")) for _ in range(4)]
        await asyncio.sleep(0)
        go.set()

        answers = await asyncio.gather(first, *waiters)

        assert ["paid"] * 5 == answers
        assert ["order-1"] == runs
        await guard.close()


class TestMisuse:
    def test_a_generator_function_is_refused(self, guard):
        def numbers(order):
            yield 1

        async def later(order):
            yield 1

        for function in (numbers, later):
            with pytest.raises(ConfigurationError, match="generator"):
                guard.once("pay", key=lambda order: order)(function)

    def test_the_wrong_kind_of_function_is_refused(self, guard):
        async def coroutine(order): ...

        with pytest.raises(ConfigurationError, match="AsyncGuard"):
            guard.once("pay", key=lambda order: order)(coroutine)
        with pytest.raises(ConfigurationError, match="use Guard"):
            AsyncGuard(AsyncMemoryStore()).once("pay", key=lambda order: order)(
                lambda order: order
            )

    def test_work_inside_itself_is_refused(self, guard):
        @guard.once("pay", key=lambda order: order, policy=RESUME)
        def pay(order):
            return pay(order)

        with pytest.raises(ConfigurationError, match="inside its own work"):
            pay("order-1")

    def test_a_type_that_nothing_can_store_is_refused_at_once(self, guard):
        class Opaque:
            pass

        def pay(order): ...

        pay.__annotations__ = {"return": Opaque}
        with pytest.raises(ConfigurationError, match="no plain value"):
            guard.once("pay", key=lambda order: order)(pay)

    @pytest.mark.parametrize(
        ("settings", "word"),
        [
            ({"guarantee": Guarantee.EXACTLY_ONCE}, "exactly-once"),
            ({"in_flight": "accept"}, "in_flight"),
            ({"on_store_down": "proceed"}, "on_store_down"),
            ({"mode": Rollout(Stage.OBSERVE)}, "mode"),
        ],
    )
    def test_a_policy_that_functions_cannot_keep_is_refused(
        self, guard, settings, word
    ):
        policy = Policy(**settings)

        with pytest.raises(ConfigurationError, match=word):
            guard.once("pay", key=lambda order: order, policy=policy)(lambda order: 1)

    @pytest.mark.parametrize("key", [None, "", "x" * 256])
    def test_what_is_no_key_is_refused_before_anything_runs(self, guard, key):
        runs = []

        @guard.once("pay", key=lambda order: key)
        def pay(order):
            runs.append(order)

        with pytest.raises(ConfigurationError, match="255"):
            pay("order-1")
        assert [] == runs

    def test_arguments_without_a_plain_form_need_a_fingerprint(self, guard):
        @guard.once("pay", key=lambda order: "one")
        def pay(order): ...

        with pytest.raises(ConfigurationError, match="fingerprint="):
            pay(object())

    def test_wrong_arguments_are_a_type_error_before_the_claim(self, guard):
        @guard.once("pay", key=lambda *order: "one", fingerprint=lambda *order: 1)
        def pay(order): ...

        with pytest.raises(TypeError):
            pay(1, 2)
        assert pay.status(1) is None


class TestArguments:
    def test_count_by_their_values_however_they_are_passed(self, guard):
        runs = []

        @guard.once("pay", key=lambda order, **more: order)
        def pay(order, *, amount=Decimal(1), ids=frozenset()):
            runs.append(order)

        pay("order-1", ids={UUID(int=1), UUID(int=2)})
        pay(order="order-1", ids={UUID(int=2), UUID(int=1)}, amount=Decimal(1))

        assert ["order-1"] == runs

    def test_whose_method_it_is_does_not_count(self, guard):
        class Shop:
            def __init__(self):
                self.paid = []

            @guard.once("pay", key=lambda self, order: order)
            def pay(self, order: str) -> str:
                self.paid.append(order)
                return order

            @classmethod
            @guard.once("refund", key=lambda cls, order: order)
            def refund(cls, order: str) -> str:
                return f"{cls.__name__} {order}"

            @staticmethod
            @guard.once("void", key=lambda order: order)
            def void(order: str) -> str:
                return order

        one, two = Shop(), Shop()

        assert ["order-1"] * 2 == [one.pay("order-1"), two.pay("order-1")]
        assert (["order-1"], []) == (one.paid, two.paid)
        assert Status.COMPLETED is two.pay.status("order-1")
        assert "Shop order-1" == Shop.refund("order-1")
        assert "order-1" == Shop.void("order-1")

    async def test_methods_of_a_loop_work_as_well(self):
        guard = AsyncGuard(AsyncMemoryStore())

        class Shop:
            @guard.once("pay", key=lambda self, order: order)
            async def pay(self, order: str) -> str:
                """Pay."""
                return order

        assert "order-1" == await Shop().pay("order-1")
        assert Status.COMPLETED is await Shop().pay.status("order-1")
        assert ("pay", "Pay.") == (vars(Shop.pay)["__name__"], Shop.pay.__doc__)
        if hasattr(inspect, "markcoroutinefunction"):
            assert inspect.iscoroutinefunction(Shop.pay)
        await guard.close()


class TestTelling:
    def outcomes(self, observer):
        return [event.outcome for event in observer.heard(Ended)]

    def test_each_call_arrives_and_ends_once(self, place):
        observer = Listening()
        _, work = counting()
        pay = place.once(work, guard=place.guard(observer=observer))

        pay("order-1")
        pay("order-1")

        arrived, started = observer.heard(Arrived), observer.heard(Started)
        assert ["pay", "pay"] == [event.rule for event in arrived]
        assert [1] == [event.execution for event in started]
        assert [Outcome.EXECUTED, Outcome.REPLAYED] == self.outcomes(observer)

    @pytest.mark.parametrize(
        ("policy", "raises", "outcome"),
        [
            (MOST, OSError(), Outcome.FAILED),
            (RESUME, OSError(), Outcome.RELEASED),
            (MOST, asyncio.CancelledError(), Outcome.UNCLEAR),
        ],
    )
    def test_an_end_that_failed_is_told(self, place, policy, raises, outcome):
        observer = Listening()
        _, work = counting(raises)
        pay = place.once(work, policy=policy, guard=place.guard(observer=observer))

        with pytest.raises(type(raises)):
            pay("order-1")

        assert [outcome] == self.outcomes(observer)

    def test_a_call_without_a_store_ends_too(self, place):
        observer = Listening()
        place.plan.faults.append(Fault(verb="claim", times=None))
        brief = timedelta(milliseconds=50)
        guard = place.guard(observer=observer, store_timeout=brief)

        with pytest.raises(StoreUnavailable):
            place.once(counting()[1], guard=guard)("order-1")

        assert [Outcome.STORE_UNAVAILABLE] == self.outcomes(observer)

    def test_metrics_count_it_under_its_name(self, place):
        registry = CollectorRegistry()
        guard = place.guard(observer=PrometheusObserver(registry))
        pay = place.once(counting()[1], guard=guard)

        pay("order-1")
        pay("order-1")

        labels = {"operation": "pay", "outcome": "executed"}
        assert 1 == registry.get_sample_value("keyonce_requests_total", labels)
        assert 1 == registry.get_sample_value(
            "keyonce_replays_total", {"operation": "pay"}
        )

    def test_log_lines_inside_carry_key_and_execution(self, place):
        record = logging.LogRecord("shop", logging.INFO, "", 0, "paying", None, None)

        def do(order):
            KeyFilter().filter(record)

        place.once(working(do))("order-1")

        assert ("order-1", "pay", 1, "first") == (
            record.idempotency_key,  # type: ignore[attr-defined]
            record.idempotency_operation,  # type: ignore[attr-defined]
            record.idempotency_attempt,  # type: ignore[attr-defined]
            record.idempotency_first,  # type: ignore[attr-defined]
        )
        assert current() is None
