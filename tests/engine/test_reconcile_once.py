# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A guarded function with a reconcile hook: its results, its errors, its background."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from keyonce.core.errors import ConfigurationError, OutcomeUnknown, WorkFailed
from keyonce.core.policy import Policy
from keyonce.core.reconcile import (
    CompletedWith,
    NeverHappened,
    StillUnknown,
    UnknownWork,
)
from keyonce.core.states import Status
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.aio_reconciler import AsyncReconciler
from keyonce.engine.aio_work import current_async_work
from keyonce.engine.reconciler import Reconciler
from keyonce.engine.steps import StepRule
from keyonce.engine.sync import Guard
from keyonce.engine.work import current_work
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore


def hook_that(answer: Any, asked: list[UnknownWork] | None = None) -> Any:
    def hook(work: UnknownWork) -> Any:
        if asked is not None:
            asked.append(work)
        return answer

    return hook


def broken_once(guard: Guard, hook: Any, **settings: Any) -> Any:
    """A function that raises the first time, after it has noted its charge."""
    runs: list[int] = []

    @guard.once(
        "pay",
        key=lambda order: order,
        policy=Policy(reconcile=hook, **settings),
    )
    def pay(order: str) -> dict[str, Any]:
        runs.append(1)
        if len(runs) == 1:
            current_work().reference("ch_1")
            raise ConnectionError("no answer")
        return {"order": order, "run": len(runs)}

    with pytest.raises(ConnectionError):
        pay("o-1")
    return pay, runs


@pytest.fixture
def guard():
    made = Guard(MemoryStore())
    yield made
    made.close()


def test_an_exception_of_the_function_leaves_its_key_unknown(guard):
    pay, _ = broken_once(guard, hook_that(StillUnknown()))

    assert Status.UNKNOWN is pay.status("o-1")


def test_without_a_hook_the_exception_is_the_outcome(guard):
    pay, _ = broken_once(guard, None)

    with pytest.raises(WorkFailed):
        pay("o-1")


def test_the_hook_gives_what_the_function_would_have_returned(guard):
    pay, runs = broken_once(guard, hook_that(CompletedWith({"order": "o-1", "run": 9})))

    assert {"order": "o-1", "run": 9} == pay("o-1")
    assert {"order": "o-1", "run": 9} == pay("o-1")
    assert [1] == runs


def test_what_never_happened_is_called_again(guard):
    pay, runs = broken_once(guard, hook_that(NeverHappened()))

    assert {"order": "o-1", "run": 2} == pay("o-1")
    assert {"order": "o-1", "run": 2} == pay("o-1")
    assert [1, 1] == runs


def test_the_error_says_who_finds_out_and_when_to_come_back(guard):
    pay, _ = broken_once(guard, hook_that(StillUnknown()))

    with pytest.raises(OutcomeUnknown, match="reconcile hook finds out") as raised:
        pay("o-1")

    assert raised.value.retry_after is not None
    assert raised.value.retry_after > 0


def test_the_hook_sees_the_reference_that_the_work_noted(guard):
    asked: list[UnknownWork] = []
    pay, _ = broken_once(guard, hook_that(StillUnknown(), asked))

    with pytest.raises(OutcomeUnknown):
        pay("o-1")

    assert ["ch_1"] == [work.reference for work in asked]


def test_the_hook_learns_which_steps_have_an_end(guard):
    asked: list[UnknownWork] = []

    @guard.once(
        "book",
        key=lambda order: order,
        policy=Policy(reconcile=hook_that(StillUnknown(), asked)),
    )
    def book(order: str) -> str:
        work = current_work()
        work.step("reserve", lambda: "room 7")
        return work.step(StepRule("charge", safe=False), _no_answer)

    with pytest.raises(ConnectionError):
        book("o-1")
    with pytest.raises(OutcomeUnknown):
        book("o-1")

    assert [(("reserve",), ("charge",))] == [
        (work.finished, work.unfinished) for work in asked
    ]


def _no_answer() -> str:
    raise ConnectionError("no answer")


def test_a_step_that_never_happened_is_taken_again_and_the_others_are_not(guard):
    taken: list[str] = []
    answers: list[Any] = [ConnectionError("no answer"), "ch_1"]

    def reserve() -> str:
        taken.append("reserve")
        return "room 7"

    def charge() -> str:
        taken.append("charge")
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    @guard.once(
        "book",
        key=lambda order: order,
        policy=Policy(reconcile=hook_that(NeverHappened())),
    )
    def book(order: str) -> str:
        work = current_work()
        room = work.step("reserve", reserve)
        return f"{room}, {work.step(StepRule('charge', safe=False), charge)}"

    with pytest.raises(ConnectionError):
        book("o-1")

    assert "room 7, ch_1" == book("o-1")
    assert ["reserve", "charge", "charge"] == taken


def test_the_background_knows_the_functions_of_its_guard(guard):
    pay, _ = broken_once(guard, hook_that(CompletedWith({"order": "o-1", "run": 9})))

    asked = Reconciler(guard).round()

    assert 1 == asked
    assert Status.COMPLETED is pay.status("o-1")
    assert {"order": "o-1", "run": 9} == pay("o-1")


def test_a_coroutine_function_cannot_be_asked_by_threads(guard):
    async def hook(work: UnknownWork) -> StillUnknown:
        return StillUnknown()

    with pytest.raises(ConfigurationError, match="coroutine function"):

        @guard.once("pay", key=lambda order: order, policy=Policy(reconcile=hook))
        def pay(order: str) -> str:
            return order


def test_a_policy_refuses_a_hook_that_cannot_be_called():
    with pytest.raises(ConfigurationError, match="reconcile is a function"):
        Policy(reconcile="ask the bank")  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"every": 5}, {"batch": 0}, {"batch": True}])
def test_a_pace_that_cannot_work_is_refused(guard, settings):
    with pytest.raises(ConfigurationError):
        Reconciler(guard, **settings)


def test_a_loop_awaits_a_coroutine_function():
    async def hook(work: UnknownWork) -> Any:
        await asyncio.sleep(0)
        return CompletedWith({"order": work.identity.key, "reference": work.reference})

    async def story() -> list[Any]:
        guard = AsyncGuard(AsyncMemoryStore())

        @guard.once("pay", key=lambda order: order, policy=Policy(reconcile=hook))
        async def pay(order: str) -> dict[str, Any]:
            await current_async_work().reference(f"ch_{order}")
            raise ConnectionError("no answer")

        for order in ("a", "b"):
            with pytest.raises(ConnectionError):
                await pay(order)
        answers = [await pay("a"), await AsyncReconciler(guard).round(), await pay("b")]
        await guard.close()
        return answers

    assert [
        {"order": "a", "reference": "ch_a"},
        1,
        {"order": "b", "reference": "ch_b"},
    ] == asyncio.run(story())


def test_a_hook_that_hangs_on_a_loop_is_stopped_with_its_guard():
    async def story() -> bool:
        guard = AsyncGuard(AsyncMemoryStore())
        begun, stopped = asyncio.Event(), asyncio.Event()

        async def hook(work: UnknownWork) -> Any:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        @guard.once("pay", key=lambda order: order, policy=Policy(reconcile=hook))
        async def pay(order: str) -> str:
            raise ConnectionError("no answer")

        with pytest.raises(ConnectionError):
            await pay("a")
        retry = asyncio.ensure_future(pay("a"))
        await begun.wait()
        await guard.close()
        with pytest.raises(OutcomeUnknown):
            await retry
        return stopped.is_set()

    assert asyncio.run(story())
