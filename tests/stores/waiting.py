# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whole processes that wait for each other, and what it costs, on a store that tells.

A class of tests that gives `place` (a URL), `opening` (the text of an import of Sync and
Async) and `world` (a function that opens the URL for a loop) inherits from Waiting.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from datetime import timedelta

import pytest

from keyonce.core.decide import Proceed, Replay
from keyonce.core.events import StoreCalled
from keyonce.engine import flows
from keyonce.engine.aio import AsyncGuard
from tests.engine.samples import attempt, paid, policy
from tests.stores.programs import said, started, tell

MANY = 10_000
PATIENT = timedelta(seconds=120)

BEGINNING = """
import threading
from collections import Counter
from keyonce.core.decide import *
from keyonce.core.guarantee import Guarantee
from keyonce.engine.sync import Guard
from tests.engine.samples import attempt, paid, policy
store = Sync(sys.argv[1])
guard = Guard(store)
terms = policy(Guarantee(sys.argv[2]), lease=1.5)
"""
OWNER = """
decision = guard.begin(attempt(), terms)
say(type(decision).__name__)
hear()
guard.finish(decision.lease, paid(), terms)
say("finished")
"""
WAITERS = """
decisions = Counter()
waits = threading.Semaphore(0)
def wait():
    decision = guard.begin(
        attempt(), terms, wait_for=timedelta(seconds=60), on_wait=waits.release
    )
    decisions[type(decision).__name__] += 1
    if isinstance(decision, Proceed):
        guard.finish(decision.lease, paid(), terms)
threads = [threading.Thread(target=wait) for _ in range(20)]
for thread in threads:
    thread.start()
for _ in threads:
    waits.acquire()
say("waiting")
for thread in threads:
    thread.join()
say(*(decisions[name] for name in ("Proceed", "Replay", "Unknown")))
guard.close()
store.close()
"""


class Listening:
    """Counts the trips to the store."""

    def __init__(self):
        self.verbs = []

    def notify(self, event, /):
        if isinstance(event, StoreCalled):
            self.verbs.append(event.verb)


async def until(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


class Waiting:
    """The scenarios."""

    def test_all_get_the_outcome_of_another_process(self, place, opening):
        with ExitStack() as stack:
            owner, waiters = self.processes(stack, place, opening, "resume")
            tell(owner)
            assert "finished" == said(owner)

            assert [(0, 20, 0)] * 2 == sorted(self.told(waiters))

    @pytest.mark.parametrize(
        ("guarantee", "expected"),
        [
            ("resume", [(0, 20, 0), (1, 19, 0)]),
            ("at-most-once", [(0, 0, 20), (0, 0, 20)]),
        ],
    )
    def test_of_those_who_wait_for_the_dead_one_takes_over_or_nobody(
        self, place, opening, guarantee, expected
    ):
        with ExitStack() as stack:
            owner, waiters = self.processes(stack, place, opening, guarantee)
            owner.kill()

            assert expected == sorted(self.told(waiters))

    def processes(self, stack, place, opening, guarantee):
        """An owner at work, and two processes in which twenty wait for it."""
        begin = opening + BEGINNING
        owner = stack.enter_context(started(begin + OWNER, place, guarantee))
        assert "Proceed" == said(owner)
        waiters = [
            stack.enter_context(started(begin + WAITERS, place, guarantee))
            for _ in range(2)
        ]
        assert ["waiting"] * 2 == [said(each) for each in waiters]
        return owner, waiters

    def told(self, waiters):
        return [tuple(map(int, said(each).split())) for each in waiters]

    async def test_ten_thousand_who_wait_cost_one_trip_for_each_news(
        self, place, world
    ):
        owner_store, store, listening = world(place), world(place), Listening()
        owner, guard = AsyncGuard(owner_store), AsyncGuard(store, observer=listening)
        decision = await owner.begin(attempt(), policy())
        assert isinstance(decision, Proceed)
        waits: list[None] = []
        tasks = [
            asyncio.create_task(
                guard.begin(
                    attempt(),
                    policy(),
                    wait_for=PATIENT,
                    on_wait=lambda: waits.append(None),
                )
            )
            for _ in range(MANY)
        ]
        await until(lambda: len(waits) == MANY and "announce" in listening.verbs)
        before, began = len(listening.verbs), time.monotonic()

        await owner.finish(decision.lease, paid(), policy())
        answers = await asyncio.gather(*tasks)

        looks = int((time.monotonic() - began) / flows.RARELY)
        assert {Replay} == {type(answer) for answer in answers}
        assert listening.verbs[before:] in [
            ["claim"] * (1 + n) for n in range(looks + 2)
        ]
        for each in (owner, guard, owner_store, store):
            await each.close()

    async def test_who_waits_asks_nothing_until_there_is_news(self, place, world):
        owner_store, store, listening = world(place), world(place), Listening()
        owner, guard = AsyncGuard(owner_store), AsyncGuard(store, observer=listening)
        decision = await owner.begin(attempt("quiet"), policy())
        assert isinstance(decision, Proceed)
        waiting = asyncio.create_task(
            guard.begin(attempt("quiet"), policy(), wait_for=PATIENT)
        )
        await until(lambda: "announce" in listening.verbs)
        before, began = len(listening.verbs), time.monotonic()

        await asyncio.sleep(2.0)  # in which polling would ask four times or more

        looks = int((time.monotonic() - began) / flows.RARELY)
        assert len(listening.verbs) - before <= looks
        assert 1 == listening.verbs.count("announce")
        await owner.finish(decision.lease, paid(), policy())
        assert isinstance(await waiting, Replay)
        for each in (owner, guard, owner_store, store):
            await each.close()
