# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A key of unknown outcome gets out by a hook that asks the outside world."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import wait
from datetime import timedelta
from typing import Any

import pytest

from keyonce.core.decide import Proceed, Replay, Unknown
from keyonce.core.ending import Unclear
from keyonce.core.events import Reconciled
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import AuditRow, Settlement
from keyonce.core.reconcile import (
    CompletedWith,
    NeverHappened,
    StillUnknown,
    UnknownWork,
)
from keyonce.core.states import Status
from keyonce.engine.aio_reconciler import AsyncReconciler
from keyonce.engine.current import downstream_key
from keyonce.engine.reconciler import Reconciler
from keyonce.engine.sync import Guard
from keyonce.testing.faults import Fault, Mishap
from tests.engine.samples import AT_LEAST_ONCE, PAID, attempt, identity, paid, policy
from tests.engine.worlds import Listening, World, eventually


class Bank:
    """Is asked, and remembers what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[UnknownWork] = []

    def __call__(self, work: UnknownWork) -> Any:
        self.asked.append(work)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


class HangingBank(Bank):
    """Says nothing until it is let."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(*answers)
        self.let = threading.Event()

    def __call__(self, work: UnknownWork) -> Any:
        answer = super().__call__(work)
        assert self.let.wait(20)
        return answer


def parked(world: World, guard: Any = None, key: str = "k-1") -> Any:
    """Let work under *key* come to an unclear end, and give its lease."""
    lease = world.granted(attempt(key), guard=guard)
    world.finish(lease, Unclear("raised"), guard=guard)
    return lease


def audits(world: World) -> list[tuple[str, str, str]]:
    rows: list[AuditRow] = list(world.memory.audits())
    return [(row.actor, row.action, row.reason) for row in rows]


@pytest.fixture
def heard(world) -> Listening:
    return Listening()


@pytest.fixture
def guard(world, heard, clock) -> Any:
    return world.guard(observer=heard, clock=clock)


def answers(heard: Listening) -> list[str]:
    return [event.answer for event in heard.heard(Reconciled)]


def test_what_was_done_is_what_the_next_attempt_gets(world, guard, heard):
    bank = Bank(CompletedWith(PAID))
    parked(world)

    decision = world.begin(attempt(), policy(reconcile=bank), guard=guard)
    again = world.begin(attempt(), policy(reconcile=bank), guard=guard)

    assert isinstance(decision, Replay)
    assert PAID == decision.record.result
    assert decision == again
    assert 1 == len(bank.asked)
    assert ["completed"] == answers(heard)
    assert [
        ("reconcile", "resolve", "the reconcile hook found: it was done")
    ] == audits(world)


def test_what_never_happened_runs_once_more(world, guard, heard):
    bank = Bank(NeverHappened())
    parked(world)

    decision = world.begin(attempt(), policy(reconcile=bank), guard=guard)

    assert isinstance(decision, Proceed)
    assert 2 == decision.lease.execution
    assert ["never-happened"] == answers(heard)
    assert [
        ("reconcile", "release", "the reconcile hook found: it never happened")
    ] == audits(world)
    world.finish(decision.lease, paid(), guard=guard)


def test_what_nobody_knows_yet_stays_and_says_when_it_is_asked_again(world, guard):
    bank = Bank(StillUnknown())
    parked(world)

    decision = world.begin(attempt(), policy(reconcile=bank), guard=guard)

    assert isinstance(decision, Unknown)
    assert decision.asked_again_in is not None
    assert 0 < decision.asked_again_in <= 3
    assert Status.UNKNOWN is world.record().status
    assert [] == audits(world)


def test_a_key_is_not_asked_about_before_its_pause_is_over(world, guard, clock):
    bank = Bank(StillUnknown(), CompletedWith(PAID))
    parked(world)
    terms = policy(reconcile=bank)
    world.begin(attempt(), terms, guard=guard)

    early = world.begin(attempt(), terms, guard=guard)
    clock.advance(3)
    late = world.begin(attempt(), terms, guard=guard)

    assert isinstance(early, Unknown)
    assert isinstance(late, Replay)
    assert 2 == len(bank.asked)


def test_without_a_hook_an_operator_has_to_find_out(world):
    parked(world)

    decision = world.begin(attempt())

    assert isinstance(decision, Unknown)
    assert decision.asked_again_in is None


def test_the_hook_learns_what_is_known_of_the_work(world, guard, clock):
    bank = Bank(StillUnknown())
    lease = parked(world)
    clock.advance(7)

    world.begin(attempt(), policy(reconcile=bank), guard=guard)

    work = bank.asked[0]
    assert (identity(), Guarantee.AT_MOST_ONCE, 1, "raised", 7.0) == (
        work.identity,
        work.guarantee,
        work.execution,
        work.reason,
        work.unknown_for,
    )
    assert downstream_key(lease, "charge") == work.downstream_key("charge")
    assert lease.born_at == work.born_at


def test_another_request_under_the_key_asks_nobody(world, guard):
    bank = Bank(CompletedWith(PAID))
    parked(world)

    world.begin(attempt(body=b"other"), policy(reconcile=bank), guard=guard)

    assert [] == bank.asked


def test_work_that_is_still_going_on_here_is_not_asked_about(world, guard):
    bank = Bank(NeverHappened())
    knowing(guard, bank)
    lease = world.granted(attempt(), guard=guard)
    world.memory.abandon(identity(), lease.owner, "work-limit")

    Background(world, guard).round()

    assert [] == bank.asked
    world.finish(lease, paid(), guard=guard)
    assert Status.COMPLETED is world.record().status


def test_a_hook_that_raises_leaves_the_key_unknown(world, guard, heard, caplog, clock):
    bank = Bank(ConnectionError("no bank today"))
    parked(world)
    terms = policy(reconcile=bank)

    with caplog.at_level(logging.ERROR, logger="keyonce"):
        first = world.begin(attempt(), terms, guard=guard)
        clock.advance(60)
        world.begin(attempt(), terms, guard=guard)

    assert isinstance(first, Unknown)
    assert ["failed", "failed"] == answers(heard)
    assert 1 == len(caplog.records)
    assert "no bank today" in caplog.text
    assert "k-1" not in caplog.records[0].getMessage()


@pytest.mark.parametrize("answer", [None, 17, CompletedWith({"paid": True})])
def test_an_answer_that_is_none_leaves_the_key_unknown(world, guard, heard, answer):
    parked(world)

    decision = world.begin(attempt(), policy(reconcile=Bank(answer)), guard=guard)

    assert isinstance(decision, Unknown)
    assert ["failed"] == answers(heard)


def test_a_hook_that_hangs_holds_nobody_up_for_long(world, guard, clock):
    bank = HangingBank(CompletedWith(PAID))
    parked(world)
    terms = policy(reconcile=bank, reconcile_timeout=timedelta(milliseconds=50))

    first = world.begin(attempt(), terms, guard=guard)
    second = world.begin(attempt(), terms, guard=guard)

    assert isinstance(first, Unknown)
    assert isinstance(second, Unknown)
    assert 1 == len(bank.asked)
    bank.let.set()
    eventually(lambda: world.record().status is Status.COMPLETED)
    assert isinstance(world.begin(attempt(), terms, guard=guard), Replay)


def test_attempts_at_once_ask_once_and_hear_the_same(world, guard, clock):
    bank = HangingBank(CompletedWith(PAID))
    parked(world)
    terms = policy(reconcile=bank)

    calls = [world.starts(attempt(), terms, guard=guard) for _ in range(8)]
    eventually(lambda: bank.asked)
    bank.let.set()
    wait(calls, 20)

    assert all(isinstance(call.result(), Replay) for call in calls)
    assert 1 == len(bank.asked)
    assert 1 == len(audits(world))


def test_a_late_answer_never_settles_another_execution(world, guard, heard):
    bank = HangingBank(NeverHappened())
    parked(world)
    terms = policy(reconcile=bank, reconcile_timeout=timedelta(milliseconds=50))
    world.begin(attempt(), terms, guard=guard)
    world.memory.settle(Settlement(identity(), "looked", "olga"))
    parked(world)

    bank.let.set()
    eventually(lambda: answers(heard))

    assert ["overtaken"] == answers(heard)
    assert (Status.UNKNOWN, 2) == (world.record().status, world.record().executions)
    assert ["olga"] == [actor for actor, _, _ in audits(world)]


def test_a_parked_key_is_asked_about_under_every_guarantee(world, guard, clock):
    bank = Bank(CompletedWith(PAID))
    terms = policy(AT_LEAST_ONCE, reconcile=bank, max_executions=1)
    dead = world.guard()
    world.granted(attempt(), terms, guard=dead)
    world.dies(dead)
    clock.advance(60)
    world.begin(attempt(), terms, guard=world.here, wait_for=0)

    eventually(lambda: world.record().status is not Status.IN_PROGRESS)

    assert isinstance(world.begin(attempt(), terms, guard=guard), Replay)


class Background:
    """A reconciler of *guard* that turns when it is told to."""

    def __init__(self, world: World, guard: Any, **settings: Any) -> None:
        kind = Reconciler if isinstance(guard, Guard) else AsyncReconciler
        self._world = world
        self._reconciler: Any = kind(guard, **settings)

    def round(self) -> int:
        asked: int = self._world.start(self._reconciler.round).result(20)
        return asked

    def start(self) -> None:
        async def started() -> None:
            self._reconciler.start()

        threads = isinstance(self._reconciler, Reconciler)
        self._world.start(self._reconciler.start if threads else started).result(20)

    def close(self) -> None:
        self._world.start(self._reconciler.close).result(20)


def knowing(guard: Any, bank: Callable[[UnknownWork], Any], **settings: Any) -> None:
    """Let *guard* know *bank* as the hook of payments."""
    terms = policy(reconcile=bank, **settings)
    guard.asker.knows(lambda whose: terms if "payments" in whose.operation else None)


def test_the_background_settles_keys_that_nobody_comes_back_for(world, guard, heard):
    bank = Bank(CompletedWith(PAID))
    knowing(guard, bank)
    for key in ("a", "b", "c"):
        parked(world, key=key)
    background = Background(world, guard)

    asked = background.round()

    assert 3 == asked
    assert ["completed"] * 3 == answers(heard)
    assert PAID == world.memory.find(identity("b")).record.result
    assert 0 == background.round()


def test_the_background_asks_ever_more_seldom(world, guard, clock):
    bank = Bank(StillUnknown())
    knowing(guard, bank)
    parked(world)
    background = Background(world, guard)

    asked = []
    for _ in range(3_600):
        background_round = background.round()
        asked.append(background_round)
        clock.advance(1)

    # 2, 4, 8 ... 256, then every 300 s, each with half of it as jitter
    assert 12 <= sum(asked) <= 35
    assert asked[0] == 1
    assert sum(asked[:60]) <= 8


def test_a_round_asks_about_no_more_than_its_batch(world, guard):
    bank = Bank(StillUnknown())
    knowing(guard, bank)
    for number in range(5):
        parked(world, key=f"k-{number}")
    background = Background(world, guard, batch=2)

    rounds = [background.round() for _ in range(3)]

    assert [2, 2, 1] == rounds
    assert 5 == len({work.identity for work in bank.asked})


def test_the_background_leaves_operations_without_a_hook_alone(world, guard):
    parked(world)

    assert 0 == Background(world, guard).round()


def test_two_backgrounds_do_no_harm(world, guard, heard, clock):
    other_heard = Listening()
    other = world.guard(observer=other_heard, clock=clock)
    bank, other_bank = HangingBank(CompletedWith(PAID)), HangingBank(NeverHappened())
    knowing(guard, bank)
    knowing(other, other_bank)
    parked(world)

    here = world.start(Background(world, guard)._reconciler.round)
    there = world.start(Background(world, other)._reconciler.round)
    eventually(lambda: bank.asked and other_bank.asked)
    bank.let.set()
    here.result(20)
    other_bank.let.set()
    there.result(20)

    assert ["completed"] == answers(heard)
    assert ["overtaken"] == answers(other_heard)
    assert PAID == world.record().result
    assert 1 == len(audits(world))


def test_the_background_runs_by_itself_until_it_is_closed(live):
    running = live.guard()
    bank = Bank(CompletedWith(PAID))
    knowing(running, bank)
    parked(live)
    background = Background(live, running, every=timedelta(milliseconds=20))

    background.start()
    eventually(lambda: live.record().status is Status.COMPLETED)
    background.close()

    assert "keyonce-reconciler" not in live.beating()


def test_a_store_that_is_gone_when_the_answer_comes_leaves_the_key_unknown(
    world, guard, heard, clock
):
    bank = Bank(CompletedWith(PAID))
    parked(world)
    world.plan.faults.append(Fault(Mishap.LOST_REQUEST, "settle"))
    terms = policy(reconcile=bank)

    decision = world.begin(attempt(), terms, guard=guard)
    clock.advance(5)
    again = world.begin(attempt(), terms, guard=guard)

    assert isinstance(decision, Unknown)
    assert isinstance(again, Replay)
    assert ["failed", "completed"] == answers(heard)


def test_a_decision_whose_reply_was_lost_is_found_carried_out(
    world, guard, heard, clock
):
    bank = Bank(CompletedWith(PAID))
    parked(world)
    world.plan.faults.append(Fault(Mishap.LOST_REPLY, "settle"))
    terms = policy(reconcile=bank)

    world.begin(attempt(), terms, guard=guard)
    again = world.begin(attempt(), terms, guard=guard)

    assert isinstance(again, Replay)
    assert 1 == len(bank.asked)
    assert 1 == len(audits(world))
