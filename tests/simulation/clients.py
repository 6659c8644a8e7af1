# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Clients that never give up: the same key, through whichever node answers."""

from __future__ import annotations

import asyncio
from typing import Any

from keyonce.core.model import Identity
from tests.simulation.history import Answered, Asked, History
from tests.simulation.nodes import Node
from tests.simulation.plan import Plan
from tests.simulation.weather import Weather
from tests.simulation.world import Host, VirtualLoop, World


class Clients:
    """All clients of a run, in a process that never dies."""

    def __init__(
        self,
        world: World,
        plan: Plan,
        nodes: list[Node],
        weather: Weather,
        history: History,
    ) -> None:
        self._world = world
        self._plan = plan
        self._nodes = nodes
        self._weather = weather
        self._history = history
        self._numbers = 0
        self._arrived: dict[int, int] = {}
        self.loop = VirtualLoop(world, Host())
        self.open = dict.fromkeys(range(len(plan.clients)), "")
        for number in self.open:
            self.loop.call_soon(self._start, number)

    def _start(self, number: int) -> None:
        self.loop.create_task(self._live(number))

    async def _live(self, number: int) -> None:
        chance = self._world.chance
        tenant, path, key, payload = self._plan.clients[number]
        identity = Identity(f"x-tenant:{tenant}", f"POST {path}", key)
        await asyncio.sleep(0.0 if chance.maybe(0.4) else chance.between(0.0, 2.0))
        await self._ask_until_told(number, identity, payload)
        if chance.maybe(0.4):  # and once more, when all is over
            await asyncio.sleep(chance.among((0.01, 1.0, 9.0, 40.0)))
            await self._ask_until_told(number, identity, payload)
        del self.open[number]

    async def _ask_until_told(
        self, number: int, identity: Identity, payload: bytes
    ) -> None:
        chance, pause = self._world.chance, 0.1
        while True:
            answer = await self._ask(number, identity, payload)
            if answer is not None and is_final(answer):
                return
            self.open[number] = "no answer" if answer is None else _told(answer)
            await asyncio.sleep(pause * chance.between(0.5, 1.5))
            pause = min(4.0, pause * 2)

    async def _ask(
        self, number: int, identity: Identity, payload: bytes
    ) -> Answered | None:
        world, chance = self._world, self._world.chance
        foul = self._weather.is_foul
        told: asyncio.Future[Answered | None] = self.loop.create_future()
        node = chance.among(self._nodes)
        asked = self._asked(number, identity, payload, node)

        def deliver(answer: Answered | None) -> None:
            lost = self._weather.is_foul and chance.maybe(0.05)
            if lost:
                self._history.faults += 1
                return
            world.after(chance.between(0.001, 0.02), _settle, told, answer)

        if not (foul and chance.maybe(0.03)):
            there = chance.between(0.001, 0.02)
            world.after(there, self._arrive, node, asked, deliver)
        if foul and chance.maybe(0.06):  # a proxy on the way sends it twice
            other = chance.among(self._nodes)
            twin = self._asked(number, identity, payload, other)
            world.after(chance.between(0.001, 0.2), self._arrive, other, twin, _nothing)
        impatient = foul and chance.maybe(self._plan.short_tempered)
        patience = chance.between(0.005, 0.5) if impatient else 20.0
        world.after(patience, self._give_up, told, node, asked.number)
        return await told

    def _asked(
        self, number: int, identity: Identity, payload: bytes, node: Node
    ) -> Asked:
        self._numbers += 1
        return Asked(self._numbers, number, identity, payload, node.name, 0.0)

    def _arrive(self, node: Node, asked: Asked, tell: Any) -> None:
        # Numbered as they arrive, so that a number is a place in the history.
        at = self._world.now
        number = len(self._history.asked) + 1
        self._arrived[asked.number] = number
        node.accept(asked._replace(number=number, at=at), tell)

    def _give_up(
        self, told: asyncio.Future[Answered | None], node: Node, number: int
    ) -> None:
        if told.done():
            return
        told.set_result(None)
        if number in self._arrived:
            node.hang_up(self._arrived[number])


def _settle(told: asyncio.Future[Answered | None], answer: Answered | None) -> None:
    if not told.done():
        told.set_result(answer)


def _nothing(_answer: Answered | None) -> None:
    """Whoever sends twice hears one answer."""


def is_problem(answer: Answered) -> bool:
    return answer.header(b"content-type") == b"application/problem+json"


def is_final(answer: Answered) -> bool:
    """Whether a client has what it wanted, or is told that it will not get it."""
    if is_problem(answer):
        return b'"retryable": true' not in answer.body
    if answer.status < 500 and answer.status not in (202, 404, 429):
        return True
    return answer.header(b"idempotency-expires") is not None


def _told(answer: Answered) -> str:
    return f"{answer.status} {answer.body[:200]!r}"
