# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The shop acts once for each request that reaches it, and leaves no process."""

from __future__ import annotations

import asyncio
import json

import pytest

from keyonce.demo.ledger import effects_in
from keyonce.demo.plan import Shape, plan
from keyonce.demo.processes import Child, ChildFailed
from keyonce.demo.stage import stage
from keyonce.demo.storm import Attempt, play
from keyonce.demo.tally import tally
from keyonce.demo.wire import Request, exchange

SCHEDULE = plan(3, 60)


def order(shape: Shape, operation: str = "mine") -> Request:
    wish = {"operation": operation, "amount": 7, "shape": shape}
    return Request("POST", "/mails", {}, json.dumps(wish).encode())


async def test_every_order_is_acted_upon_and_told_apart(tmp_path):
    async with stage(tmp_path / "shop", guarded=False) as shop:
        answers = [await exchange(shop.shop, order(shape)) for shape in Shape]
        told = await exchange(shop.shop, Request("GET", "/effects/mine", {}))

    assert [201] * 3 == [answer.status for answer in answers if answer]
    receipts = [json.loads(answer.body)["receipt"] for answer in answers if answer]
    assert told is not None
    assert receipts == [effect["receipt"] for effect in json.loads(told.body)]
    assert receipts == [effect.receipt for effect in effects_in(shop.ledger)]
    assert 3 == len(set(receipts))


async def test_large_and_streamed_answers_are_what_they_say(tmp_path):
    async with stage(tmp_path / "shop", guarded=False) as shop:
        large = await exchange(shop.shop, order(Shape.LARGE))
        streamed = await exchange(shop.shop, order(Shape.STREAMED))

    assert large is not None
    assert streamed is not None
    assert "content-length" in large.headers
    assert "chunked" == streamed.headers["transfer-encoding"]
    assert min(len(large.body), len(streamed.body)) > 50_000


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (Request("POST", "/payments", {}, b"not json"), 400),
        (Request("POST", "/payments", {}, b"[]"), 400),
        (Request("POST", "/payments", {}, b'{"operation": "a"}'), 400),
        (Request("POST", "/nowhere", {}, b"{}"), 404),
    ],
)
async def test_nonsense_is_refused_without_effect(tmp_path, request_, status):
    async with stage(tmp_path / "shop", guarded=False) as shop:
        answer = await exchange(shop.shop, request_)

    assert answer is not None
    assert status == answer.status
    assert [] == effects_in(shop.ledger)


async def test_a_bare_storm_does_harm_and_adds_up(tmp_path):
    ended = []

    async with stage(tmp_path / "shop", guarded=False) as shop:
        notes = await play(SCHEDULE, shop, lambda: ended.append(1))
        await shop.settle()
    effects = effects_in(shop.ledger)
    figures = tally(SCHEDULE, notes, effects)

    assert 60 == len(ended) == figures.operations
    assert 3 == figures.strikes
    assert figures.double_effects > 0
    assert figures.different_answers > 0
    assert figures.effects == 60 - figures.never_ran + figures.double_effects
    assert figures.attempts >= figures.effects
    assert 0 == figures.lost_effects == figures.replays == figures.conflicts
    known = {(one.name, one.amount) for one in SCHEDULE}
    known |= {(one.name, one.amount + 1) for one in SCHEDULE}
    assert known >= {(effect.operation, effect.amount) for effect in effects}


async def test_a_worker_is_killed_before_and_after_its_effect(tmp_path):
    struck = [one for one in SCHEDULE if one.strike]

    async with stage(tmp_path / "shop", guarded=False) as shop:
        attempts: list[Attempt] = []
        for one in struck:
            attempts += (await play([one], shop, lambda: None)).attempts
            await shop.settle()

    effects = [effect.operation for effect in effects_in(shop.ledger)]
    assert [1, 2, 2] == [effects.count(one.name) for one in struck]
    statuses = [one.status for one in attempts]
    assert [None, 201] * 3 == statuses


async def test_a_closed_stage_leaves_nobody_listening(tmp_path):
    async with stage(tmp_path / "shop", guarded=False) as shop:
        assert await exchange(shop.shop, order(Shape.SMALL)) is not None

    assert await exchange(shop.shop, order(Shape.SMALL)) is None


async def test_a_worker_ends_when_its_driver_is_gone(tmp_path):
    async with stage(tmp_path / "shop", guarded=False) as shop:
        [worker, _] = shop._workers
        assert worker._process.stdin
        worker._process.stdin.close()
        async with asyncio.timeout(10):
            await worker._process.wait()
        still = await exchange(shop.shop, order(Shape.SMALL))

    assert still is not None
    assert 201 == still.status


async def test_a_process_that_ends_at_its_start_is_named_with_its_last_words(tmp_path):
    program = ("-c", "raise SystemExit('no such luck')")
    child = await Child.start(program, tmp_path / "a.log", heard=lambda *_: None)

    with pytest.raises(ChildFailed, match="no such luck"):
        await child.until(lambda: False)

    await child.kill()
