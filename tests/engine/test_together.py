# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Flows side by side: claims travel as one, and nobody waits for one of the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from keyonce.core.decide import InFlight, Proceed
from keyonce.core.errors import RecordUnreadable, StoreUnavailable
from keyonce.core.flow import run
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Attempt, Identity
from keyonce.core.policy import Policy
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.commands import AwaitNews, ClaimKey, ClaimKeys, LetGo, Now, Sleep
from keyonce.engine.flight import Flight, Seat
from keyonce.engine.sync import Guard
from keyonce.engine.together import together
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.stores.sqlite import SQLiteStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import ORDER, PAYLOAD, claim_of, named

LEAST = Policy(guarantee=Guarantee.AT_LEAST_ONCE)


class Played:
    """Answers commands from a script, and remembers them."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def __call__(self, command):
        self.asked.append(type(command).__name__)
        if isinstance(command, ClaimKeys):
            self.asked[-1] += f" {len(command.claims)}"
        if isinstance(command, Sleep):
            self.asked[-1] += f" {command.seconds:g}"
        answer = self.answers.get(type(command).__name__)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def claiming(key, *, naps=0.0):
    yield Now()
    first = yield ClaimKey(claim_of(named(key)))
    if naps:
        yield Sleep(naps)
        yield ClaimKey(claim_of(named(key)))
    return (key, first)


def played(flows, played, *, batches=True):
    ends: list[Any] = [None] * len(flows)
    run(together(flows, ends, batches=batches), played)
    return ends


def test_claims_travel_as_one_and_sleepers_sleep_together():
    script = Played(ClaimKeys=["x", "y", "z"])
    flows = [claiming("a", naps=0.5), claiming("b"), claiming("c", naps=1.0)]
    script.answers["ClaimKey"] = "again"

    def answer(command):
        given = script(command)
        if isinstance(command, ClaimKeys):
            script.answers["ClaimKeys"] = ["2", "2"]
        return given

    ends = played(flows, answer)

    assert [("a", "x"), ("b", "y"), ("c", "z")] == ends
    assert [*["Now"] * 3, "ClaimKeys 3", "Sleep 1", "ClaimKeys 2"] == script.asked


def test_a_store_that_cannot_is_asked_one_by_one():
    script = Played(ClaimKey="x")

    ends = played([claiming("a"), claiming("b")], script, batches=False)

    assert [("a", "x"), ("b", "x")] == ends
    assert ["Now", "Now", "ClaimKey", "ClaimKey"] == script.asked


def test_one_that_cannot_be_read_does_not_spoil_the_others():
    torn = RecordUnreadable("torn")

    ends = played([claiming("a"), claiming("b")], Played(ClaimKeys=[torn, "y"]))

    assert [torn, ("b", "y")] == ends


def test_a_silent_store_is_silent_for_each():
    silent = StoreUnavailable("away")

    ends = played([claiming("a"), claiming("b")], Played(ClaimKeys=silent))

    assert [silent, silent] == ends


def test_who_follows_waits_last():
    def following():
        yield AwaitNews(Seat(Flight(ORDER), leads=False), 0, 1.0)
        return "news"

    script = Played(ClaimKeys=["x", "y"])

    ends = played([following(), claiming("a"), claiming("b")], script)

    assert ["news", ("a", "x"), ("b", "y")] == ends
    assert ["Now", "Now", "ClaimKeys 2", "AwaitNews"] == script.asked


def test_an_interruption_lets_go_of_every_claim():
    def careful(key):
        claim = claim_of(named(key))
        try:
            yield ClaimKey(claim)
        except BaseException:
            yield LetGo(claim)
            raise

    script = Played(ClaimKeys=KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        played([careful("a"), careful("b")], script)

    assert ["ClaimKeys 2", "LetGo", "LetGo"] == script.asked


def attempt(key):
    return Attempt(Identity("s", "op", key), PAYLOAD, lambda _scheme: None)


def begun_many(aio, memory, keys):
    """Begin many, and give the decisions; the guard is closed."""
    hearers = [lambda _reason: None for _ in keys]
    attempts = [attempt(key) for key in keys]

    async def on_loop():
        guard = AsyncGuard(AsyncMemoryStore(memory))
        try:
            return await guard.begin_many(attempts, LEAST, on_gone=hearers)
        finally:
            await guard.close()

    if aio:
        return asyncio.run(on_loop())
    guard = Guard(memory)
    try:
        return guard.begin_many(attempts, LEAST, on_gone=hearers)
    finally:
        guard.close()


@pytest.mark.parametrize("aio", [False, True], ids=["threads", "loop"])
def test_each_attempt_of_many_has_its_decision(aio):
    memory = MemoryStore(clock=FakeClock())
    begun_many(aio, memory, ["b"])

    decisions = begun_many(aio, memory, ["a", "b", "c"])

    assert [Proceed, InFlight, Proceed] == [type(each) for each in decisions]
    owners = {each.lease.owner for each in decisions if isinstance(each, Proceed)}
    assert 2 == len(owners)


def test_nothing_is_begun_of_nothing():
    assert [] == begun_many(aio=False, memory=MemoryStore(), keys=[])


class Counting(SQLiteStore):
    """Counts how often it is asked for a claim."""

    def __init__(self, path):
        super().__init__(path)
        self.asked = []

    def claim(self, command):
        self.asked.append(1)
        return super().claim(command)

    def claim_many(self, commands):
        self.asked.append(len(commands))
        return super().claim_many(commands)


def test_a_guard_asks_a_store_that_can_once(tmp_path):
    store = Counting(tmp_path / "keyonce.db")

    decisions = begun_many(aio=False, memory=store, keys=[f"{n}" for n in range(50)])

    assert [50] == store.asked
    assert {Proceed} == {type(each) for each in decisions}
    store.close()
