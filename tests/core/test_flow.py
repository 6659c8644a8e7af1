# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One text for both drivers: what a flow asks is what it gets."""

from __future__ import annotations

import asyncio

import pytest

from keyonce.core.flow import arun, run


def blocking(flow, perform):
    return run(flow, perform)


def awaiting(flow, perform):
    async def answer(command):
        await asyncio.sleep(0)
        return perform(command)

    return asyncio.run(arun(flow, answer))


both = pytest.mark.parametrize("drive", [blocking, awaiting])


def adding(count):
    total = 0
    for number in range(count):
        total += yield number
    return total


@both
def test_each_answer_is_sent_in_and_the_result_comes_out(drive):
    assert 10 + 20 + 30 == drive(adding(3), lambda number: 10 * (number + 1))


@both
def test_a_flow_that_asks_nothing_is_done_at_once(drive):
    assert 0 == drive(adding(0), lambda number: pytest.fail("nobody asked"))


def careful():
    heard = []
    for command in ("first", "second"):
        try:
            heard.append((yield command))
        except OSError as failure:
            heard.append(f"{failure} failed")
    return heard


@both
@pytest.mark.parametrize("failing", ["first", "second"])
def test_a_failure_is_thrown_into_the_flow(drive, failing):
    def perform(command):
        if command == failing:
            raise OSError(command)
        return command

    expected = [f"{c} failed" if c == failing else c for c in ("first", "second")]
    assert expected == drive(careful(), perform)


@both
def test_a_failure_that_the_flow_does_not_handle_comes_out(drive):
    def perform(command):
        raise LookupError(command)

    with pytest.raises(LookupError, match="first"):
        drive(careful(), perform)


def stubborn():
    try:
        yield "work"
    except BaseException as failure:  # noqa: BLE001 - the point
        return type(failure)


@both
def test_even_an_interrupt_is_the_flows_to_see(drive):
    def perform(command):
        raise KeyboardInterrupt

    assert KeyboardInterrupt is drive(stubborn(), perform)


@both
def test_a_flow_that_raises_raises(drive):
    def raising():
        yield "work"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        drive(raising(), lambda command: None)


async def test_what_need_not_wait_is_answered_at_once():
    def flow():
        return [(yield "a question"), (yield 42)]

    async def perform(command):
        return "performed"

    at_once = {int: lambda number: number + 1}

    assert ["performed", 43] == await arun(flow(), perform, at_once)


async def test_a_cancelled_flow_is_told_and_ends():
    asked = asyncio.Event()
    told = []

    def flow():
        try:
            yield "wait"
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    async def perform(command):
        asked.set()
        await asyncio.sleep(3600)

    task = asyncio.create_task(arun(flow(), perform))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ["cancelled"] == told
