# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Histories of real calls on real stores, from threads and from processes at once."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from typing import Any, Final

from keyonce.core.errors import StoreUnavailable
from keyonce.testing.clock import FakeClock
from keyonce.testing.faults import Fault, FaultPlan, FaultyStore, Mishap
from tests.linearizability.asking import LATER, asked_of, drawn, lapsed
from tests.linearizability.history import Asked, Call, History
from tests.linearizability.stores import OPENED

CLIENTS: Final = 4
CALLS: Final = 4
PROCESSES: Final = 3
WITHIN: Final = 60.0

Plan = list[Asked]


def plan(rng: Random, me: int, owners: int) -> Plan:
    """Draw what one client asks; some of it twice, as after a reply that was lost."""
    asked: Plan = []
    for place in range(CALLS):
        again = asked and rng.random() < 0.15
        asked.append(asked[-1] if again else drawn(rng, owners, me, me * CALLS + place))
    return asked


def played(store: Any, key: str, asked: Plan, *, runs_again: bool) -> list[Call]:
    """Ask all that, one after the other."""
    calls = []
    for each in asked:
        invoked = time.monotonic_ns()
        try:
            answer = asked_of(store, key, each, runs_again=runs_again)
        except StoreUnavailable:
            calls.append(Call(each, invoked))
        else:
            calls.append(Call(each, invoked, time.monotonic_ns(), answer))
    return calls


def by_threads(
    kind: str, place: str, histories: int, seed: str, *, own: bool = False
) -> Iterator[History]:
    """Record histories of threads that share one store; some answers get lost.

    With *own* each client keeps to its own token, as the engine does.
    """
    clock = FakeClock()
    store = OPENED[kind](place, clock)
    try:
        with ThreadPoolExecutor(CLIENTS) as pool, restless():
            for number in range(histories):
                rng = Random(f"{seed} {number}")
                yield _of_threads(store, clock, pool, f"{seed} {number}", rng, own=own)
    finally:
        store.close()


def _of_threads(
    store: Any,
    clock: FakeClock,
    pool: ThreadPoolExecutor,
    key: str,
    rng: Random,
    *,
    own: bool,
) -> History:
    runs_again = rng.random() < 0.5
    before = []
    if rng.random() < 0.4:
        before = lapsed(store, clock, key, runs_again=runs_again)
    clock.advance(LATER - clock())
    together = threading.Barrier(CLIENTS)

    def client(asked: Plan, line: Any) -> list[Call]:
        together.wait(WITHIN)
        return played(line, key, asked, runs_again=runs_again)

    work = [
        pool.submit(client, plan(rng, me, 0 if own else CLIENTS), _unsure(store, rng))
        for me in range(CLIENTS)
    ]
    calls = [call for each in work for call in each.result(WITHIN)]
    return History(runs_again, (*before, *calls))


def _unsure(store: Any, rng: Random) -> Any:
    """Put a line before *store* that may lose one request or one answer."""
    if rng.random() < 0.7:
        return store
    mishap = rng.choice((Mishap.LOST_REQUEST, Mishap.LOST_REPLY))
    return FaultyStore(store, FaultPlan(Fault(mishap, nth=rng.randint(1, CALLS))))


@contextmanager
def restless() -> Iterator[None]:
    """Let threads take turns a thousand times as often as they do."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def by_processes(
    kind: str, place: str, histories: int, seed: str, *, own: bool = False
) -> Iterator[History]:
    """Record histories of processes that share one database, each with two threads.

    With *own* each client keeps to its own token, as the engine does.
    """
    clock = FakeClock()
    store = OPENED[kind](place, clock)
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2 * PROCESSES)
    lines, workers = [], []
    for _ in range(PROCESSES):
        here, there = context.Pipe()
        worker = context.Process(target=work, args=(there, kind, place, together))
        worker.start()
        there.close()
        lines.append(here)
        workers.append(worker)
    try:
        for number in range(histories):
            rng = Random(f"{seed} {number}")
            yield _of_processes(store, clock, lines, f"{seed} {number}", rng, own=own)
    finally:
        for line in lines:
            line.close()
        for worker in workers:
            worker.join(WITHIN)
        store.close()
    assert [0] * PROCESSES == [worker.exitcode for worker in workers]


def _of_processes(
    store: Any, clock: FakeClock, lines: list[Any], key: str, rng: Random, *, own: bool
) -> History:
    runs_again = rng.random() < 0.5
    before = []
    if rng.random() < 0.4:
        before = lapsed(store, clock, key, runs_again=runs_again)
    owners = 0 if own else 2 * PROCESSES
    for number, line in enumerate(lines):
        plans = [plan(rng, 2 * number + mine, owners) for mine in range(2)]
        line.send((key, plans, runs_again))
    calls: list[Call] = []
    for line in lines:
        assert line.poll(WITHIN), "a process is silent"
        calls += line.recv()
    return History(runs_again, (*before, *calls))


def work(line: Any, kind: str, place: str, together: Any) -> None:
    """Be one of the processes, until the line ends."""
    store = OPENED[kind](place, FakeClock(now=LATER))

    def client(key: str, asked: Plan, *, runs_again: bool) -> list[Call]:
        together.wait(WITHIN)
        return played(store, key, asked, runs_again=runs_again)

    with ThreadPoolExecutor(2) as pool:
        while True:
            try:
                key, plans, runs_again = line.recv()
            except EOFError:
                break
            under_way = [
                pool.submit(client, key, each, runs_again=runs_again) for each in plans
            ]
            line.send([call for each in under_way for call in each.result(WITHIN)])
    store.close()
