# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Guarded functions keep their types. mypy reads this; running it is the lesser half.

An ignore that is not needed is an error to mypy, so each says what is refused.
"""

from __future__ import annotations

from typing import assert_type

import pytest

from keyonce import (
    AsyncGuard,
    AsyncMemoryStore,
    Guard,
    MemoryStore,
    StepRule,
    Work,
    current_async_work,
    current_work,
)
from keyonce.core.states import Status


def length(text: str, *, times: int = 1) -> int:
    return len(text) * times


async def later(text: str) -> bytes:
    return text.encode()


def test_a_function_keeps_parameters_and_result() -> None:
    guard = Guard(MemoryStore())

    @guard.once("pay", key=lambda order, amount: order)
    def pay(order: str, amount: int) -> list[int]:
        work = current_work()
        assert_type(work, Work)
        assert_type(work.step("one", length, order, times=2), int)
        assert_type(work.step(StepRule("two"), lambda: "text"), str)
        return [amount]

    assert_type(pay("order-1", 12), list[int])
    assert_type(pay.status("order-1", 12), Status | None)
    with pytest.raises(TypeError):
        pay("order-1")  # type: ignore[call-arg]
    with pytest.raises(Exception, match="other arguments"):
        pay("order-1", "12")  # type: ignore[arg-type]
    guard.close()


def test_a_method_loses_its_self() -> None:
    guard = Guard(MemoryStore())

    class Shop:
        @guard.once("pay", key=lambda self, order: order)
        def pay(self, order: str) -> int:
            return 1

    assert_type(Shop().pay("order-1"), int)
    assert_type(Shop().pay.status("order-1"), Status | None)
    with pytest.raises(TypeError):
        Shop().pay()  # type: ignore[call-arg]
    guard.close()


async def test_a_coroutine_function_keeps_parameters_and_result() -> None:
    guard = AsyncGuard(AsyncMemoryStore())

    @guard.once("pay", key=lambda order: order)
    async def pay(order: str) -> str:
        work = current_async_work()
        assert_type(await work.step("one", later, order), bytes)
        assert_type(await work.step("two", length, order, times=2), int)
        return order

    assert_type(await pay("order-1"), str)
    assert_type(await pay.status("order-1"), Status | None)
    with pytest.raises(TypeError):
        await pay()  # type: ignore[call-arg]
    await guard.close()
