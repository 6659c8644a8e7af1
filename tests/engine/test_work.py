# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Steps: recorded, not repeated, and honest about what nobody knows."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from keyonce.core.errors import (
    ConfigurationError,
    KeyReused,
    LeaseLost,
    OutcomeUnknown,
    ResultNotEncodable,
    SafeToRetry,
    SettlementRefused,
    StepsChanged,
    StoreUnavailable,
    WorkFailed,
)
from keyonce.core.model import Identity, Lease, Settlement
from keyonce.core.policy import Policy
from keyonce.core.states import Status
from keyonce.core.steps import Progress, Step
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.aio_work import current_async_work
from keyonce.engine.current import current_downstream_key, downstream_key
from keyonce.engine.steps import StepRule
from keyonce.engine.sync import Guard
from keyonce.engine.work import current_work
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.testing.faults import AsyncFaultyStore, Fault, FaultPlan, Mishap
from tests.engine.works import MOST, RESUME, Place

ORDER = Identity("functions", "pay", "order-1")
CHARGE = StepRule("charge", safe=False)


class Declined(Exception):
    def __init__(self, code, *, card="any"):
        super().__init__(f"declined: {code}")
        self.code = code
        self.card = card


class Expired(Declined):
    pass


@pytest.fixture(params=[False, True], ids=["threads", "loop"])
def place(request):
    place = Place(aio=request.param)
    yield place
    place.close()


@pytest.fixture
def done():
    """What has been done in the world outside."""
    return []


def act(done, name, result=None):
    done.append(name)
    return name if result is None else result


def failing(times, error):
    """Raise *error* as many *times*, then return."""
    left = [error] * times

    def fail():
        if left:
            raise left.pop()
        return "well"

    return fail


class TestFinishedSteps:
    def test_are_not_repeated(self, place, done):
        stumble = failing(1, ConnectionError("gone"))

        def work(order):
            held = yield "hold", act, done, "held"
            charged = yield "charge", act, done, "charged"
            last = yield "tell", stumble
            return [held, charged, last]

        pay = place.once(work)
        with pytest.raises(ConnectionError):
            pay("order-1")

        assert ["held", "charged", "well"] == pay("order-1")
        assert ["held", "charged", "well"] == pay("order-1")
        assert ["held", "charged"] == done

    def test_give_the_stored_copy_to_the_first_caller_too(self, place):
        seen = []
        stumble = failing(1, OSError())

        def work(order):
            pair = yield "pair", lambda: (1, 2)
            seen.append(pair)
            yield "stumble", stumble
            return pair

        pay = place.once(work)
        with pytest.raises(OSError):
            pay("order-1")
        pay("order-1")

        assert [[1, 2], [1, 2]] == seen

    def test_of_one_key_are_not_those_of_another(self, place, done):
        def work(order):
            return (yield "charge", act, done, f"charged {order}")

        pay = place.once(work)

        assert ["charged a", "charged b"] == [pay("a"), pay("b")]

    def test_may_be_large(self, place):
        stumble = failing(1, OSError())
        seen = []

        def work(order):
            seen.append((yield "report", lambda: "x" * 900_000))
            yield "stumble", stumble

        pay = place.once(work)
        with pytest.raises(OSError):
            pay("order-1")
        pay("order-1")

        assert [900_000, 900_000] == [len(text) for text in seen]

    def test_that_are_too_large_say_so(self, place):
        def work(order):
            yield "report", lambda: "x" * 1_100_000

        with pytest.raises(ResultNotEncodable, match="report"):
            place.once(work)("order-1")

    def test_belong_to_their_request(self, place, done):
        def work(order):
            yield "charge", act, done, "charged"
            raise OSError

        settings = {
            "key": lambda order: order.split(":")[0],
            "fingerprint": lambda order: order,
        }
        pay = place.once(work, **settings)
        with pytest.raises(OSError):
            pay("order-1:12")

        with pytest.raises(KeyReused):
            pay("order-1:99")

        assert ["charged"] == done


class TestErrorsThatAreAnOutcome:
    def test_are_recorded_and_raised_again(self, place, done):
        rule = StepRule("charge", errors=(Declined,))
        stumble = failing(1, OSError())
        heard = []

        def decline():
            done.append("asked")
            raise Expired("51", card="visa")

        def work(order):
            try:
                yield rule, decline
            except Declined as error:
                heard.append((type(error), error.args, error.code, error.card))
            yield "stumble", stumble

        pay = place.once(work)
        with pytest.raises(OSError):
            pay("order-1")
        pay("order-1")

        assert ["asked"] == done
        assert [(Expired, ("declined: 51",), "51", "visa")] * 2 == heard

    def test_of_other_classes_are_not(self, place, done):
        rule = StepRule("charge", errors=(Declined,))

        def fail():
            done.append("asked")
            raise OSError

        def work(order):
            yield rule, fail

        pay = place.once(work)
        for _ in range(2):
            with pytest.raises(OSError):
                pay("order-1")

        assert ["asked", "asked"] == done

    def test_whose_class_is_gone_are_told_as_failed_work(self, place):
        stumble = failing(1, OSError())
        rules = [StepRule("charge", errors=(kind,)) for kind in (Declined, KeyError)]

        def decline():
            raise Declined("51")

        def work(order):
            try:
                yield rules.pop(0), decline
            except Declined:
                yield "stumble", stumble

        pay = place.once(work)
        with pytest.raises(OSError):
            pay("order-1")

        with pytest.raises(WorkFailed, match="Declined: declined: 51"):
            pay("order-1")

    def test_never_include_what_speaks_of_the_key(self, place):
        rule = StepRule("charge", errors=(Exception,))

        def work(order):
            yield rule, failing(1, SafeToRetry("never asked"))

        pay = place.once(work)

        for _ in range(2):
            with pytest.raises(SafeToRetry):
                pay("order-1")


class TestStepsThatAreNotSafe:
    def test_park_the_key_when_they_raise(self, place, done):
        def work(order):
            yield CHARGE, failing(1, TimeoutError())

        pay = place.once(work)
        with pytest.raises(TimeoutError):
            pay("order-1")

        assert Status.UNKNOWN is pay.status("order-1")
        with pytest.raises(OutcomeUnknown):
            pay("order-1")

    def test_park_the_key_also_when_the_work_goes_on_and_returns(self, place):
        def work(order):
            try:
                yield CHARGE, failing(1, TimeoutError())
            except TimeoutError:
                return "never mind"

        pay = place.once(work)
        with pytest.raises(OutcomeUnknown):
            pay("order-1")

        assert Status.UNKNOWN is pay.status("order-1")

    def test_free_the_key_when_nothing_happened(self, place):
        def work(order):
            return (yield CHARGE, failing(0, None) if tried else refuse)

        def refuse():
            tried.append(1)
            raise SafeToRetry("never asked")

        tried = []
        pay = place.once(work)
        with pytest.raises(SafeToRetry):
            pay("order-1")

        assert "well" == pay("order-1")

    def test_park_the_key_when_their_worker_vanished(self, place, done):
        def work(order):
            yield "hold", act, done, "held"
            yield CHARGE, act, done, "charged"

        pay = place.once(work)
        place.vanished(
            pay.attempt("order-1"),
            Step("hold", Progress.DONE, b"1"),
            Step("charge", Progress.BEGUN),
        )

        with pytest.raises(OutcomeUnknown, match="charge"):
            pay("order-1")

        assert [] == done
        assert Status.UNKNOWN is pay.status("order-1")

    def test_that_are_safe_begin_again_when_their_worker_vanished(self, place, done):
        def work(order):
            yield "hold", act, done, "held"
            return (yield "charge", act, done, "charged")

        pay = place.once(work)
        place.vanished(
            pay.attempt("order-1"),
            Step("hold", Progress.DONE, b"1"),
            Step("charge", Progress.CALLED),
        )

        assert "charged" == pay("order-1")
        assert ["charged"] == done

    def test_run_again_once_an_operator_has_freed_the_key(self, place, done):
        rules = {"error": TimeoutError()}

        def charge():
            done.append("charged")
            if rules:
                raise rules.pop("error")
            return "paid"

        def work(order):
            return (yield CHARGE, charge)

        pay = place.once(work)
        with pytest.raises(TimeoutError):
            pay("order-1")
        place.memory.settle(Settlement(ORDER, "the bank never saw it", "ann"))

        assert "paid" == pay("order-1")

    def test_of_a_freed_key_are_in_no_doubt_before_they_begin_again(self, place):
        errors = [SafeToRetry("never asked"), OSError()]

        def work(order):
            if len(errors) == 1:
                yield "charge-first", lambda: None if False else raise_next()
            yield CHARGE, raise_next

        def raise_next():
            raise errors.pop(0)

        def released(order):
            raise OSError
            yield

        pay = place.once(work)
        with pytest.raises(SafeToRetry):
            pay("order-1")

        with pytest.raises(OSError):
            place.once(released)("order-1")
        assert Status.RELEASED is pay.status("order-1")

    def test_that_never_began_leave_no_doubt(self, place, done):
        place.plan.faults.append(Fault(Mishap.LOST_REPLY, verb="note", times=None))

        def work(order):
            return (yield CHARGE, act, done, "charged")

        guard = place.guard(store_timeout=timedelta(milliseconds=50))
        with pytest.raises(StoreUnavailable):
            place.once(work, guard=guard)("order-1")
        place.plan.heal()

        pay = place.once(work)
        assert Status.RELEASED is pay.status("order-1")
        assert "charged" == pay("order-1")
        assert ["charged"] == done

    def test_park_the_key_when_their_end_could_not_be_written(self, place, done):
        place.plan.faults.append(Fault(verb="note", nth=2, times=None))

        def work(order):
            return (yield CHARGE, act, done, "charged")

        guard = place.guard(store_timeout=timedelta(milliseconds=50))
        with pytest.raises(StoreUnavailable):
            place.once(work, guard=guard)("order-1")
        place.plan.heal()

        pay = place.once(work)
        assert Status.UNKNOWN is pay.status("order-1")
        with pytest.raises(OutcomeUnknown):
            pay("order-1")
        assert ["charged"] == done

    def test_park_the_key_also_when_a_later_worker_frees_it_before_them(self, place):
        def work(order):
            raise SafeToRetry("not now")
            yield

        pay = place.once(work)
        place.vanished(pay.attempt("order-1"), Step("charge", Progress.BEGUN))
        with pytest.raises(SafeToRetry):
            pay("order-1")

        assert Status.UNKNOWN is pay.status("order-1")


class TestChangedCode:
    def began(self, place, *names):
        def work(order):
            for name in names:
                yield name, lambda: 1
            raise OSError

        with pytest.raises(OSError):
            place.once(work)("order-1")

    def test_another_name_is_refused(self, place, done):
        self.began(place, "hold", "charge")

        def work(order):
            yield "hold", act, done, "held"
            yield "refund", act, done, "refunded"

        with pytest.raises(StepsChanged, match=r"Step 2 is 'refund'.*'charge'"):
            place.once(work)("order-1")
        assert [] == done

    def test_a_step_left_out_is_refused(self, place):
        self.began(place, "hold", "charge")

        def work(order):
            yield "hold", lambda: 1
            return "done"

        pay = place.once(work)
        with pytest.raises(StepsChanged, match="charge"):
            pay("order-1")
        assert Status.RELEASED is pay.status("order-1")

    def test_one_more_at_the_end_is_fine(self, place):
        self.began(place, "hold")

        def work(order):
            yield "hold", lambda: 1
            return (yield "charge", lambda: 2)

        assert 2 == place.once(work)("order-1")

    def test_one_name_twice_is_refused(self, place):
        def work(order):
            yield "charge", lambda: 1
            yield "charge", lambda: 2

        with pytest.raises(StepsChanged, match="Two steps"):
            place.once(work)("order-1")

    def test_under_at_most_once_that_is_the_outcome(self, place):
        def work(order):
            yield "charge", lambda: 1
            yield "charge", lambda: 2

        pay = place.once(work, policy=MOST)
        with pytest.raises(StepsChanged):
            pay("order-1")

        with pytest.raises(WorkFailed, match="StepsChanged"):
            pay("order-1")


class TestALostLease:
    def test_stops_the_work_at_its_next_step(self, place, done):
        def steal():
            place.clock.advance(3600)
            found = place.memory.find(ORDER).record
            place.memory.settle(Settlement(ORDER, "stuck", "ann"))
            assert Status.IN_PROGRESS is found.status

        def work(order):
            yield "hold", steal
            yield "charge", act, done, "charged"

        with pytest.raises(LeaseLost):
            place.once(work)("order-1")

        assert [] == done

    def test_gives_the_outcome_of_the_winner(self, place):
        def steal():
            place.clock.advance(3600)
            place.memory.settle(Settlement(ORDER, "stuck", "ann"))
            place.wins(theirs, b'"winner"')

        def work(order):
            yield "hold", steal
            return "loser"

        pay = place.once(work)
        theirs = pay.attempt("order-1")

        assert "winner" == pay("order-1")

    def test_does_not_give_the_outcome_of_another_request(self, place):
        def steal():
            place.clock.advance(3600)
            place.memory.settle(Settlement(ORDER, "stuck", "ann"))
            place.wins(theirs, b'"winner"')

        def work(order):
            yield "hold", steal
            return "loser"

        key = {"key": lambda order: order[:7], "fingerprint": lambda order: order}
        pay = place.once(work, **key)
        theirs = pay.attempt("order-1:99")

        with pytest.raises(LeaseLost):
            pay("order-1:12")

    def test_a_store_that_is_gone_at_a_note_stops_the_work(self, place, done):

        place.plan.faults.append(Fault(verb="note", times=None))

        def work(order):
            yield "hold", act, done, "held"
            yield "charge", act, done, "charged"

        guard = place.guard(store_timeout=timedelta(milliseconds=50))
        with pytest.raises(StoreUnavailable):
            place.once(work, guard=guard)("order-1")

        assert ["held"] == done


class TestDownstreamKeys:
    def test_are_the_same_in_every_execution(self, place):
        keys = []
        stumble = failing(2, OSError())

        def work(order):
            yield "charge", lambda: keys.append(current_downstream_key())
            keys.append(current_downstream_key())
            yield "stumble", stumble

        def again(order):
            keys.append(current_downstream_key())
            yield "charge", lambda: None
            raise OSError

        with pytest.raises(OSError):
            place.once(work)("order-1")
        with pytest.raises(OSError):
            place.once(again)("order-1")

        step, whole, second = keys
        assert step != whole == second
        assert 8 == UUID(step).version

    def test_are_unlike_for_all_that_differs(self):
        lease = Lease(ORDER, b"o", RESUME.guarantee, 1, 5.0, 30.0, born_at=5.0)
        others = [
            lease._replace(identity=ORDER._replace(**{field: "other"}))
            for field in ORDER._fields
        ]
        anew = lease._replace(born_at=6.0)
        again = lease._replace(owner=b"p", execution=2, claimed_at=9.0)

        keys = [downstream_key(each, "charge") for each in (lease, *others, anew)]
        keys += [downstream_key(lease, name) for name in ("", "refund")]

        assert len(keys) == len(set(keys))
        assert keys[0] == downstream_key(again, "charge")

    def test_of_a_key_used_anew_after_its_retention_are_new(self, place):
        keys = []

        def work(order):
            yield "charge", lambda: keys.append(current_downstream_key())

        place.once(work)("order-1")
        place.clock.advance(100 * 86_400)
        place.once(work)("order-1")

        assert 2 == len(set(keys))

    def test_there_is_none_outside_of_guarded_work(self):
        assert current_downstream_key() is None


class TestMisuse:
    def test_there_is_no_work_outside(self):
        with pytest.raises(ConfigurationError, match="no guarded work"):
            current_work()
        with pytest.raises(ConfigurationError, match="no guarded work"):
            current_async_work()

    def test_a_step_needs_a_name_and_exceptions_to_expect(self):
        with pytest.raises(ConfigurationError, match="name"):
            StepRule("")
        with pytest.raises(ConfigurationError, match="exception classes"):
            StepRule("charge", errors=Declined)  # type: ignore[arg-type]

    def test_a_step_inside_a_step_is_refused(self):
        place = Place(aio=False)

        def work(order):
            yield "outer", lambda: current_work().step("inner", lambda: 1)

        with pytest.raises(ConfigurationError, match="inside step 'outer'"):
            place.once(work)("order-1")
        place.close()

    def test_a_coroutine_in_a_thread_is_refused_before_it_runs(self, done):
        place = Place(aio=False)

        async def charge():
            done.append("charged")

        def plainly(order):
            yield "charge", charge

        def hidden(order):
            yield "charge", lambda: charge()  # noqa: PLW0108 - looks plain

        for work in (plainly, hidden):
            with pytest.raises(ConfigurationError, match="coroutine"):
                place.once(work)("order-1")
        assert [] == done
        place.close()

    def test_a_result_without_a_codec_is_refused_before_the_step(self, place, done):
        class Opaque:
            pass

        def charge():
            done.append("charged")

        charge.__annotations__ = {"return": Opaque}

        def work(order):
            yield "charge", charge

        with pytest.raises(ConfigurationError, match="no plain value"):
            place.once(work)("order-1")
        assert [] == done

    def test_a_reference_is_a_short_text(self):
        place = Place(aio=False)

        def work(order):
            yield "charge", lambda: 1
            current_work().reference("x" * 256)

        with pytest.raises(ConfigurationError, match="255"):
            place.once(work)("order-1")
        place.close()


@pytest.fixture
async def guard():
    guard = AsyncGuard(AsyncMemoryStore())
    yield guard
    await guard.close()


class TestOnALoop:
    async def test_steps_run_side_by_side_and_are_known_again(self, guard, done):
        fails = [OSError()]

        async def ask(name, seconds):
            await asyncio.sleep(seconds)
            done.append(name)
            return name

        @guard.once("pay", key=lambda order: order, policy=RESUME)
        async def pay(order):
            work = current_async_work()
            prices = await asyncio.gather(
                *(work.step(f"ask-{n}", ask, n, (3 - n) / 100) for n in range(4))
            )
            if fails:
                raise fails.pop()
            return prices

        with pytest.raises(OSError):
            await pay("order-1")

        assert [0, 1, 2, 3] == await pay("order-1")
        assert [0, 1, 2, 3] == sorted(done)

    async def test_a_cancelled_step_that_is_not_safe_parks_the_key(self, guard):
        begun = asyncio.Event()

        async def charge():
            begun.set()
            await asyncio.Event().wait()

        @guard.once("pay", key=lambda order: order, policy=RESUME)
        async def pay(order):
            await current_async_work().step(CHARGE, charge)

        task = asyncio.create_task(pay("order-1"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert Status.UNKNOWN is await pay.status("order-1")

    async def test_a_thread_of_the_loop_takes_steps_of_the_same_work(self, guard, done):
        fails = [OSError()]

        def charge():
            return current_work().step("charge", act, done, "charged", 7)

        @guard.once("pay", key=lambda order: order, policy=RESUME)
        async def pay(order):
            first = await current_async_work().step("hold", act, done, "held", 1)
            second = await asyncio.to_thread(charge)
            if fails:
                raise fails.pop()
            return [first, second]

        with pytest.raises(OSError):
            await pay("order-1")

        assert [1, 7] == await pay("order-1")
        assert ["held", "charged"] == done

    async def test_a_loop_is_not_given_the_handle_of_a_thread(self, guard):
        @guard.once("pay", key=lambda order: order, policy=RESUME)
        async def pay(order):
            current_work()

        with pytest.raises(ConfigurationError, match="current_async_work"):
            await pay("order-1")

    async def test_a_lost_lease_cancels_the_work(self):
        memory, plan = MemoryStore(), FaultPlan(Fault(verb="renew", times=None))
        guard = AsyncGuard(AsyncFaultyStore(AsyncMemoryStore(memory), plan))
        brief = Policy(guarantee=RESUME.guarantee, lease=timedelta(seconds=0.3))
        begun = asyncio.Event()

        @guard.once("pay", key=lambda order: order, policy=brief)
        async def pay(order):
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(pay("order-1"))
        await begun.wait()
        async with asyncio.timeout(20):
            while await pay.status("order-1") is not Status.RELEASED:
                with suppress(SettlementRefused):  # its lease has not ended yet
                    memory.settle(Settlement(ORDER, "stuck", "ann"))
                await asyncio.sleep(0.01)
            plan.heal()

            with pytest.raises(LeaseLost):
                await task
        await guard.close()


def test_a_note_that_the_store_carries_out_late_takes_no_step_back(place):
    ran, notes, real = [], [], place.memory.note
    outages = [OSError("gone")]

    def noting(command):
        notes.append(command)
        return real(command)

    def act(name):
        ran.append(name)

    def work(order):
        for name in ("charge", "ship"):
            yield (name, act, name)
        if outages:
            real(notes[0])
            raise outages.pop()

    place.memory.note = noting
    pay = place.once(work)
    with pytest.raises(OSError, match="gone"):
        pay("order-1")

    pay("order-1")

    assert ["charge", "ship"] == ran
    assert [1, 2] == [note.number for note in notes]


def test_references_and_steps_are_counted_as_one():
    store: Any = MemoryStore()
    guard, real = Guard(store), store.note
    numbers = []

    def noting(command):
        numbers.append(command.number)
        return real(command)

    store.note = noting

    @guard.once("pay", key=lambda order: order, policy=RESUME)
    def pay(order: str) -> None:
        work = current_work()
        work.step("charge", lambda: "ch_1")
        work.reference("ch_1")
        work.step("ship", lambda: "sh_1")

    pay("order-1")

    guard.close()
    assert [1, 2, 3] == numbers
