# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Histories as many clients of one faultless record would have them, drawn by chance.

The record is a real store that is called by nobody else, at one moment between the call
and its answer. Some answers get lost, some requests arrive late or never.
"""

from __future__ import annotations

from itertools import count
from random import Random

from keyonce.stores.memory import MemoryStore
from keyonce.testing.clock import FakeClock
from tests.linearizability.asking import asked_of, drawn, lapsed
from tests.linearizability.history import Answer, Asked, Call, History


class _Under:
    """A call that is under way."""

    def __init__(self, asked: Asked, invoked: int) -> None:
        self.asked = asked
        self.invoked = invoked
        self.done = False
        self.answer: Answer = None


class _Scene:
    """One record, and what is under way on it."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.clock = FakeClock()
        self.store = MemoryStore(clock=self.clock)
        self.runs_again = rng.random() < 0.5
        self.calls: list[Call] = []
        self.late: list[_Under] = []
        if rng.random() < 0.4:
            self.calls = lapsed(
                self.store, self.clock, "key", runs_again=self.runs_again
            )

    def carry_out(self, under: _Under) -> None:
        under.done = True
        under.answer = asked_of(
            self.store, "key", under.asked, runs_again=self.runs_again
        )

    def loses(self, under: _Under) -> None:
        """Nobody hears of it any more; it may still arrive."""
        self.calls.append(Call(under.asked, under.invoked))
        if not under.done:
            self.late.append(under)

    def returns(self, under: _Under, now: int) -> None:
        self.calls.append(Call(under.asked, under.invoked, now, under.answer))


def generated(rng: Random, *, clients: int = 4, length: int = 14) -> History:
    """Draw a history that is linearizable, since it was one after the other."""
    scene = _Scene(rng)
    under: dict[int, _Under | None] = dict.fromkeys(range(clients))
    sent = 0
    for now in count():
        busy = [client for client, call in under.items() if call is not None]
        if sent == length and not busy:
            return History(scene.runs_again, tuple(scene.calls))
        if scene.late and rng.random() < 0.1:
            scene.carry_out(scene.late.pop())
        client = rng.choice(busy if sent == length else list(under))
        call = under[client]
        if call is None:
            under[client] = _Under(drawn(rng, clients, client, sent), now)
            sent += 1
        elif rng.random() < 0.03:
            scene.loses(call)
            under[client] = None
        elif call.done:
            scene.returns(call, now)
            under[client] = None
        else:
            scene.carry_out(call)
    raise AssertionError
