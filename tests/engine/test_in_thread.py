# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Work of an event loop in the hands of a thread that the loop has started."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing, suppress
from datetime import timedelta

import pytest

from keyonce.core.errors import (
    ConfigurationError,
    LeaseLost,
    OutcomeUnknown,
    SettlementRefused,
    StepsChanged,
)
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Identity, Settlement
from keyonce.core.policy import Policy
from keyonce.core.states import Status
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.aio_work import current_async_work
from keyonce.engine.current import current_downstream_key
from keyonce.engine.steps import StepRule
from keyonce.engine.work import current_work
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.stores.sqlite import AsyncSQLiteStore
from keyonce.testing.faults import AsyncFaultyStore, Fault, FaultPlan

RESUME = Policy(guarantee=Guarantee.RESUME)
EXACT = Policy(guarantee=Guarantee.EXACTLY_ONCE)
ORDER = Identity("functions", "order", "o-1")
WITHIN = 30.0


@pytest.fixture
async def guard():
    guard = AsyncGuard(AsyncMemoryStore(MemoryStore()))
    yield guard
    await guard.close()


def ordering(guard, work, policy=RESUME):
    """Guard a coroutine function that does *work* in a thread."""

    @guard.once("order", key=lambda: "o-1", policy=policy)
    async def order():
        return await asyncio.to_thread(work)

    return order


class Done(list[str]):
    """What has been done, and with which downstream key."""

    def act(self, name: str) -> str:
        self.append(name)
        return f"{name} by {current_downstream_key()}"


async def test_steps_are_not_repeated_and_keep_their_keys(guard):
    done, fails = Done(), [OSError()]

    def work() -> list[str]:
        held = current_work().step("hold", done.act, "hold")
        if fails:
            raise fails.pop()
        return [held, current_work().step("ship", done.act, "ship")]

    order = ordering(guard, work)
    with pytest.raises(OSError):
        await order()
    answers = [await order(), await order()]

    assert answers[0] == answers[1]
    assert ["hold", "ship"] == done
    found = await guard.find(ORDER)
    assert 2 == found.record.executions
    assert answers[0][0] != answers[0][1].replace("ship", "hold")  # a key for each


async def test_the_loop_goes_on_where_the_thread_left_off(guard):
    done = Done()

    @guard.once("order", key=lambda: "o-1", policy=RESUME)
    async def order():
        first = await current_async_work().step("one", done.act, "one")
        second = await asyncio.to_thread(
            lambda: current_work().step("two", done.act, "two")
        )
        third = await current_async_work().step("three", done.act, "three")
        if len(done) == 3:
            done.append("failed")
            raise OSError
        return [first, second, third]

    with pytest.raises(OSError):
        await order()
    await order()

    assert ["one", "two", "three", "failed"] == done


async def test_a_reference_is_written_down_at_once(guard):
    seen: list[str | None] = []

    def work() -> None:
        current_work().reference("order 7")
        looking = asyncio.run_coroutine_threadsafe(guard.find(ORDER), loop)
        seen.append(looking.result(WITHIN).record.reference)

    loop = asyncio.get_running_loop()
    await ordering(guard, work)()

    assert ["order 7"] == seen


async def test_a_step_that_is_not_safe_and_fails_parks_the_key(guard):
    def fail() -> None:
        raise TimeoutError

    order = ordering(
        guard, lambda: current_work().step(StepRule("charge", safe=False), fail)
    )
    with pytest.raises(TimeoutError):
        await order()

    assert Status.UNKNOWN is await order.status()
    with pytest.raises(OutcomeUnknown):
        await order()


async def test_a_declared_exception_is_an_outcome(guard):
    done = Done()

    def fail() -> None:
        done.append("failed")
        raise ValueError("no such card")

    def work() -> str:
        try:
            current_work().step(StepRule("charge", errors=(ValueError,)), fail)
        except ValueError:
            if len(done) == 1:
                done.append("again")
                raise OSError from None
        return "declined"

    order = ordering(guard, work)
    with pytest.raises(OSError):
        await order()

    assert "declined" == await order()
    assert ["failed", "again"] == done


async def test_changed_steps_are_refused(guard):
    names, done = ["hold", "charge"], Done()

    def work() -> None:
        current_work().step(names.pop(0), done.act, "done")
        if names:
            raise OSError

    order = ordering(guard, work)
    with pytest.raises(OSError):
        await order()
    with pytest.raises(StepsChanged, match="'hold'"):
        await order()

    assert ["done"] == done


async def test_a_coroutine_function_is_refused(guard):
    async def charge() -> None:
        raise AssertionError

    order = ordering(guard, lambda: current_work().step("charge", charge))

    with pytest.raises(ConfigurationError, match="is a coroutine function"):
        await order()


@pytest.mark.parametrize("kind", ["generator", "async generator"])
async def test_a_generator_function_is_refused_as_a_step(guard, kind):
    def plain():
        yield 1

    async def of_a_loop():
        yield 1

    step = plain if kind == "generator" else of_a_loop

    @guard.once("order", key=lambda: "o-1", policy=RESUME)
    async def order():
        await current_async_work().step("charge", step)

    with pytest.raises(ConfigurationError, match="'charge' is a generator function"):
        await ordering(guard, lambda: current_work().step("charge", step))()
    with pytest.raises(ConfigurationError, match="'charge' is a generator function"):
        await order()


async def test_a_cancelled_task_frees_the_key_and_the_thread_takes_no_more_steps(guard):
    begun, goes_on, ended, said = (
        threading.Event(),
        threading.Event(),
        threading.Event(),
        [],
    )

    def hold() -> int:
        begun.set()
        assert goes_on.wait(WITHIN)
        return 1

    def work() -> None:
        try:
            current_work().step("hold", hold)
        except BaseException as error:  # noqa: BLE001 - looked at below
            said.append(type(error))
        ended.set()

    order = ordering(guard, work)
    task = asyncio.create_task(order())
    assert await asyncio.to_thread(begun.wait, WITHIN)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert Status.RELEASED is await order.status()
    goes_on.set()
    assert await asyncio.to_thread(ended.wait, WITHIN)

    assert [LeaseLost] == said


async def test_after_the_lease_is_lost_the_thread_takes_no_more_steps():
    memory, plan = MemoryStore(), FaultPlan(Fault(verb="renew", times=None))
    guard = AsyncGuard(AsyncFaultyStore(AsyncMemoryStore(memory), plan))
    brief = Policy(guarantee=Guarantee.RESUME, lease=timedelta(seconds=0.3))
    begun, goes_on, ended, said = (
        threading.Event(),
        threading.Event(),
        threading.Event(),
        [],
    )
    done = Done()

    def work() -> None:
        begun.set()
        assert goes_on.wait(WITHIN)
        try:
            current_work().step("charge", done.act, "charge")
        except BaseException as error:  # noqa: BLE001 - looked at below
            said.append(type(error))
        ended.set()

    order = ordering(guard, work, brief)
    task = asyncio.create_task(order())
    assert await asyncio.to_thread(begun.wait, WITHIN)
    async with asyncio.timeout(WITHIN):
        while await order.status() is not Status.RELEASED:
            with suppress(SettlementRefused):  # its lease has not ended yet
                memory.settle(Settlement(ORDER, "stuck", "ann"))
            await asyncio.sleep(0.01)
        plan.heal()
        with pytest.raises(LeaseLost):
            await task
    goes_on.set()
    assert await asyncio.to_thread(ended.wait, WITHIN)
    await guard.close()

    assert [LeaseLost] == said
    assert [] == done


@pytest.fixture
async def exact(tmp_path):
    """A guard over a file that a table of orders is in, and what connects to it."""
    path = tmp_path / "shop.db"
    store = AsyncSQLiteStore(path, purge_every=None)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (name TEXT)")
    guard = AsyncGuard(store)
    yield guard, lambda: closing(sqlite3.connect(path))
    await guard.close()
    await store.close()


def count(connect):
    with connect() as connection:
        return connection.execute("SELECT count(*) FROM orders").fetchone()[0]


async def test_a_transaction_commits_effect_and_outcome(exact):
    guard, connect = exact

    def work() -> None:
        with connect() as connection, current_work().transaction(connection):
            connection.execute("INSERT INTO orders VALUES ('o-1')")
            current_work().reference("order 7")
            current_work().complete({"order": 1})

    order = ordering(guard, work, EXACT)

    assert {"order": 1} == await order() == await order()
    assert 1 == count(connect)
    found = await guard.find(ORDER)
    assert (Status.COMPLETED, "order 7") == (
        found.record.status,
        found.record.reference,
    )


async def test_what_raises_in_a_transaction_is_undone(exact):
    guard, connect = exact
    fails = [OSError()]

    def work() -> None:
        with connect() as connection, current_work().transaction(connection):
            connection.execute("INSERT INTO orders VALUES ('o-1')")
            current_work().complete({"order": 1})
            if fails:
                raise fails.pop()

    order = ordering(guard, work, EXACT)
    with pytest.raises(OSError):
        await order()
    assert (0, Status.RELEASED) == (count(connect), await order.status())

    assert {"order": 1} == await order()
    assert 1 == count(connect)


async def test_a_commit_counts_whose_task_was_cancelled(exact):
    guard, connect = exact
    begun, goes_on = threading.Event(), threading.Event()

    def work() -> None:
        with connect() as connection, current_work().transaction(connection):
            connection.execute("INSERT INTO orders VALUES ('o-1')")
            current_work().complete({"order": 1})
        begun.set()
        assert goes_on.wait(WITHIN)

    order = ordering(guard, work, EXACT)
    task = asyncio.create_task(order())
    assert await asyncio.to_thread(begun.wait, WITHIN)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    goes_on.set()

    assert {"order": 1} == await order()
    assert 1 == count(connect)
