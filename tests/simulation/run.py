# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One run: a name, which is its seed, becomes a history."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from keyonce.core.guarantee import Guarantee
from tests.simulation.chance import Chance
from tests.simulation.clients import Clients
from tests.simulation.history import History
from tests.simulation.nodes import Node, Settings
from tests.simulation.outside import Provider, Shop
from tests.simulation.plan import (
    BOUND,
    FAILOVER,
    UNBOUNDED,
    Hook,
    Plan,
    draw,
    rules_of,
)
from tests.simulation.store import ModelStore
from tests.simulation.threads import virtual
from tests.simulation.weather import Weather
from tests.simulation.world import World

MOST_STEPS: Final = 400_000
LIVE_FOR: Final = 600.0  # after the faults, within which every key has an end
IDLE_AFTER: Final = 150.0  # after the last answer, within which nothing is under way
TROUBLES: Final = (
    *("crash", "crash", "stop", "stop", "loop", "cut", "cut"),
    *("shutdown", "purge", "jump"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one run. *schedule* is the order of what happened, *whole* with
    the times as well."""

    history: History
    schedule: bytes
    whole: bytes


def run(name: str) -> Result:
    """Run what *name* says: guarantee/mode/number."""
    guarantee, mode, _ = name.split("/")
    chance = Chance(name)
    plan = draw(chance, Guarantee(guarantee), mode)
    history = History(
        name=name,
        guarantee=plan.terms.guarantee,
        bounded=mode != UNBOUNDED,
        loses_tail=mode == FAILOVER,
        jumps=False,
        retention=plan.terms.retention,
        bound=BOUND,
    )
    world = World(chance)
    with virtual(world), _Listening(world):
        try:
            _Play(world, plan, history).play()
        finally:
            world.close()
    history.errors += world.errors
    return Result(history, _digest(world.trace), _digest(world.trace, world.times))


class _Play:
    """The parts of one run, put together."""

    def __init__(self, world: World, plan: Plan, history: History) -> None:
        self._world = world
        self._plan = plan
        self._history = history
        chance = world.chance
        self._purges_every = chance.among((1.0, 60.0))
        self._weather = Weather(chance, history)
        self._store = ModelStore(world, history)
        provider = Provider(world, history, self._weather)
        shop = Hook.shop = Shop(world, history, self._weather, provider, plan)
        rules = rules_of(plan.terms)
        settings = Settings(
            tells=plan.tells,
            cancels=plan.cancels,
            raises=chance.maybe(0.5),
            reconciles=plan.terms.reconcile and chance.maybe(0.5),
        )
        self._nodes = [
            Node(
                world,
                f"n{number}",
                self._store,
                self._weather,
                history,
                shop,
                rules,
                settings,
            )
            for number in range(plan.nodes)
        ]
        self._clients = Clients(world, plan, self._nodes, self._weather, history)

    def play(self) -> None:
        world, plan = self._world, self._plan
        for _ in range(plan.trouble):
            world.after(world.chance.between(0.0, plan.foul_for), self._trouble)
        if plan.mode == FAILOVER:
            world.after(world.chance.between(0.05, plan.foul_for), self._fail_over)
        if plan.terms.retention < 100:
            world.after(world.chance.between(1.0, 3.0), self._purge)
        if plan.mode == UNBOUNDED:
            world.after(2 * plan.foul_for, self._stop)
        else:
            world.after(plan.foul_for, self._clear)
        world.run(MOST_STEPS)

    def _stop(self) -> None:
        self._world.over = True

    def _clear(self) -> None:
        self._weather.clear()
        self._world.after(LIVE_FOR, self._too_late)
        self._watch()

    def _watch(self) -> None:
        """Look whether all have their answer."""
        if self._clients.open:
            self._world.after(1.0, self._watch)
            return
        self._world.after(IDLE_AFTER, self._not_idle)
        self._idle()

    def _idle(self) -> None:
        if not self._left_over():
            self._world.over = True
        else:
            self._world.after(1.0, self._idle)

    def _left_over(self) -> list[str]:
        left = [f"{node.name}: down" for node in self._nodes if not node.host.alive]
        return left + [one for node in self._nodes for one in node.left_over()]

    def _too_late(self) -> None:
        if self._clients.open:
            self._history.stuck += [
                f"client {number} still hears {told}"
                for number, told in self._clients.open.items()
            ]
            self._world.over = True

    def _not_idle(self) -> None:
        self._history.leaks += self._left_over()
        self._world.over = True

    # ------------------------------------------------------------------- misfortunes

    def _trouble(self) -> None:
        world, chance = self._world, self._world.chance
        if not self._weather.is_foul:
            return
        node, lease = chance.among(self._nodes), self._plan.terms.lease
        match chance.among(TROUBLES):
            case "crash":
                node.crash()
            case "stop":
                node.stand_still(chance.between(0.1, 4 * lease), whole=True)
            case "loop":
                node.stand_still(chance.between(0.1, 4 * lease), whole=False)
            case "cut":
                self._history.reached["cut off"] += 1
                self._weather.cut(node.name, True)
                ends = chance.between(0.1, 4 * lease)
                world.after(ends, self._weather.cut, node.name, False)
            case "shutdown":
                node.shut_down()
            case "purge":
                self._store.purge()
            case _:
                self._jump()
        if self._plan.mode == UNBOUNDED:
            world.after(chance.between(0.1, self._plan.foul_for), self._trouble)

    def _jump(self) -> None:
        chance, lease = self._world.chance, self._plan.terms.lease
        self._history.faults += 1
        self._history.jumps = True
        self._history.reached["the store's clock jumps"] += 1
        self._world.note("clock jumps")
        self._store.offset += chance.among(
            (2 * lease, chance.between(0.0, 3 * lease), -lease, 3600.0)
        )

    def _purge(self) -> None:
        self._store.purge()
        pause = self._world.chance.between(0.5, 1.5) * self._purges_every
        self._world.after(pause, self._purge)

    def _fail_over(self) -> None:
        chance = self._world.chance
        lost = self._store.lose_tail(chance.among((0.01, 0.1, 1.0, 5.0)))
        self._history.faults += 1
        if lost:
            self._history.reached["a failover loses writes"] += 1
        self._world.note(f"failover loses {lost}")


class _Listener(logging.Handler):
    """Errors that the engine writes into its log are for the oracle."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not text.startswith(EXPECTED):
            error = record.exc_info[1] if record.exc_info else None
            self._world.errors.append(f"{text} ({error!r})")


#: What the handlers and hooks of these runs bring about by themselves.
EXPECTED: Final = (
    "An earlier execution of this key took",
    "The reconcile hook",
)


class _Listening:
    """Hear the log of the engine, and keep it from everybody else."""

    def __init__(self, world: World) -> None:
        self._handler = _Listener(world)

    def __enter__(self) -> None:
        log = logging.getLogger("keyonce")
        self._before = (log.level, log.propagate)
        log.addHandler(self._handler)
        log.setLevel(logging.ERROR)
        log.propagate = False

    def __exit__(self, *_: object) -> None:
        log = logging.getLogger("keyonce")
        log.removeHandler(self._handler)
        log.level, log.propagate = self._before
        log.setLevel(self._before[0])


def _digest(*told: object) -> bytes:
    return blake2b(repr(told).encode(), digest_size=16).digest()
