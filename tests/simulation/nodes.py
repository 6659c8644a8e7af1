# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A node: one process with the real gateway and guard, which dies and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from typing import Any, cast

from keyonce.core.protocols import AsyncStore
from keyonce.engine import tokens
from keyonce.engine.aio import AsyncGuard
from keyonce.engine.aio_reconciler import AsyncReconciler
from keyonce.http.operation import Rules
from keyonce.http.scope import by_header
from keyonce.integrations.asgi import IdempotencyMiddleware
from tests.simulation.history import Answered, Asked, History
from tests.simulation.link import PLACE, AsyncFace, Line, Place, TellingFace
from tests.simulation.store import ModelStore
from tests.simulation.weather import Weather
from tests.simulation.world import Host, VirtualLoop, World

SCOPE = by_header("X-Tenant", hashed=False)
STORE_TIMEOUT = timedelta(seconds=2)

Tell = Callable[[Answered | None], object]


class Process(Host):
    """The lanes of one start of a node."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node

    def dies(self) -> None:
        """Be gone at once, as after SIGKILL."""
        if self.alive:
            self._node.crash()


class Visit:
    """One request at a node, as its server sees it."""

    def __init__(self, asked: Asked, tell: Tell) -> None:
        self.asked = asked
        self.tell = tell
        self.place = Place(asked.number, asked.payload)
        self.gone = False
        self.hears: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None
        self.status = 0
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.body = b""
        self.told = False


class Node:
    """One node, over all its lives."""

    def __init__(
        self,
        world: World,
        name: str,
        store: ModelStore,
        weather: Weather,
        history: History,
        shop: Any,
        rules: Rules,
        settings: Settings,
    ) -> None:
        self.world = world
        self.name = name
        self._store = store
        self._weather = weather
        self._history = history
        self._shop = shop
        self._rules = rules
        self._settings = settings
        self._visits: dict[int, Visit] = {}
        self.start()

    def start(self) -> None:
        """Begin a new life, with nothing known of the one before."""
        world, settings = self.world, self._settings
        self.host = Process(self)
        self.loop = VirtualLoop(world, self.host)
        line = Line(world, self.host, self._store, self._weather, self.name)
        kind = TellingFace if settings.tells else AsyncFace
        face = cast("AsyncStore", kind(world, line, self._store, self._weather))
        app = IdempotencyMiddleware(
            self._shop,
            store=face,
            scope=SCOPE,
            rules=self._rules,
            store_timeout=STORE_TIMEOUT,
        )
        app.gateway.spread = world.chance.random
        # As the middleware made it, but by this world's clock.
        app.guard = AsyncGuard(
            face,
            observer=app.gateway.observer,
            store_timeout=STORE_TIMEOUT,
            tokens=tokens.fresh_token,
            clock=lambda: world.now,
        )
        app.guard.asker.knows(app.gateway.policy_of)
        _count(app.guard, self._history)
        self.app = app
        if settings.reconciles:
            reconciler = AsyncReconciler(app.guard, every=timedelta(seconds=5))
            self.loop.call_soon(reconciler.start)

    # ------------------------------------------------------------------ its server

    def accept(self, asked: Asked, tell: Tell) -> None:
        """Take one request; *tell* hears the answer, or that there is none."""
        if not self.host.alive:
            tell(None)
            return
        self._history.asked.append(asked)
        visit = self._visits[asked.number] = Visit(asked, tell)
        self.world.note(f"{self.name} asked {asked.client}")
        self.loop.call_soon(self._open, visit)

    def _open(self, visit: Visit) -> None:
        visit.task = self.loop.create_task(self._serve(visit))
        visit.task.add_done_callback(lambda _: self._closed(visit))

    def hang_up(self, number: int) -> None:
        """Let the client of a request be gone."""
        visit = self._visits.get(number)
        if visit is None or not self.host.alive or visit.told:
            return
        self.loop.call_soon(self._hung_up, visit)

    def _hung_up(self, visit: Visit) -> None:
        if visit.told or visit.gone:
            return
        visit.gone = True
        reached, phase = self._history.reached, visit.place.phase
        if self._settings.cancels and visit.task is not None:
            reached[f"cancelled at {phase}"] += 1
            self._history.faults += 1
            visit.task.cancel()
        else:
            reached[f"hung up at {phase}"] += 1
        if visit.hears is not None and not visit.hears.done():
            visit.hears.set_result(None)

    async def _serve(self, visit: Visit) -> None:
        PLACE.set(visit.place)
        given = False

        async def receive() -> dict[str, Any]:
            nonlocal given
            if not given:
                given = True
                await asyncio.sleep(0)
                body = visit.asked.payload
                return {"type": "http.request", "body": body, "more_body": False}
            if not visit.gone:
                if visit.hears is None:
                    visit.hears = self.loop.create_future()
                await asyncio.shield(visit.hears)
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if visit.gone and self._settings.raises:
                raise OSError("The client has gone.")
            self._sent(visit, message)

        try:
            await self.app(_scope(visit.asked), receive, send)
        except Exception:  # noqa: BLE001 - a server closes the connection
            return

    def _sent(self, visit: Visit, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            visit.status = message["status"]
            visit.headers = tuple(message["headers"])
            return
        visit.body += message.get("body", b"")
        if message.get("more_body", False) or visit.told:
            return
        visit.told = True
        answer = Answered(
            visit.asked.number, self.world.now, visit.status, visit.headers, visit.body
        )
        self._history.answered.append(answer)
        self.world.note(f"{self.name} {visit.status} to {visit.asked.client}")
        visit.tell(answer)

    def _closed(self, visit: Visit) -> None:
        if self.host.alive:
            self._visits.pop(visit.asked.number, None)
            if not visit.told:
                visit.told = True
                visit.tell(None)

    # -------------------------------------------------------------- its misfortunes

    def crash(self) -> None:
        """Be gone, with all that was under way, and come back after a while."""
        if not self.host.alive:
            return
        self._history.faults += 1
        self._history.reached["crash"] += 1
        self.world.note(f"{self.name} dies")
        self.host.alive = False
        for visit in self._visits.values():
            if not visit.told:
                visit.told = True
                visit.tell(None)
        self._visits.clear()
        self.world.after(self.world.chance.between(0.05, 3.0), self._restart)

    def _restart(self) -> None:
        self.world.note(f"{self.name} starts")
        self.start()

    def shut_down(self) -> None:
        """Cancel every task, as ``asyncio.run`` does at its end, and die soon."""
        if not self.host.alive:
            return
        self._history.faults += 1
        self._history.reached["shutdown"] += 1
        for visit in self._visits.values():
            self._history.reached[f"shut down at {visit.place.phase}"] += 1
        self.world.note(f"{self.name} shuts down")
        for task in self.loop.pending():
            self.loop.call_soon(task.cancel)
        self.world.after(self.world.chance.between(0.0, 2.0), self.host.dies)

    def stand_still(self, seconds: float, *, whole: bool) -> None:
        """Stop the process for a while, or only its loop."""
        self._history.faults += 1
        what = "process" if whole else "loop"
        self._history.reached[f"the {what} stands still"] += 1
        self.world.note(f"{self.name} stands still")
        for lane in self.host.lanes if whole else [self.loop]:
            lane.hold(seconds)

    # ------------------------------------------------------------- what it has left

    def left_over(self) -> list[str]:
        """Name what is under way here, in whatever corner."""
        if not self.host.alive:
            return []
        guard: Any = self.app.guard
        corners = {
            "requests": self._visits,
            "tasks of the gateway": self.app._tasks,
            "seats": guard._seats,
            "flights": guard._flights._flights,
            "leases under watch": guard._heartbeat._watches,
            "askings": guard.asker._tasks,
        }
        left = [f"{self.name}: {name}" for name, found in corners.items() if found]
        if guard._flights._in_all:
            left.append(f"{self.name}: counted waiters")
        if self.app.gateway.space.used:
            left.append(f"{self.name}: spilled bytes")
        idle = 1 if self._settings.reconciles else 0
        if len(self.loop.pending()) > idle:
            left.append(f"{self.name}: tasks {self.loop.pending()}")
        return left


class Settings:
    """How the nodes of a run are set up."""

    def __init__(
        self, *, tells: bool, cancels: bool, raises: bool, reconciles: bool
    ) -> None:
        self.tells = tells
        self.cancels = cancels
        self.raises = raises
        self.reconciles = reconciles


def _scope(asked: Asked) -> dict[str, Any]:
    identity = asked.identity
    path = identity.operation.partition(" ")[2]
    tenant = identity.scope.partition(":")[2]
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (b"x-tenant", tenant.encode()),
            (b"idempotency-key", identity.key.encode()),
            (b"content-type", b"text/plain"),
        ],
    }


def _count(guard: AsyncGuard, history: History) -> None:
    """Count what a guard does by itself, and tells nobody outside."""
    flights: Any = guard._flights
    heartbeat: Any = guard._heartbeat
    hand_over = flights._hand_over

    def counted(flight: Any) -> Any:
        history.reached["a waiter is promoted"] += 1
        return hand_over(flight)

    gone = heartbeat._gone

    def told(watch: Any, reason: str) -> None:
        history.reached[f"told that the lease is {reason}"] += 1
        gone(watch, reason)

    flights._hand_over = counted
    heartbeat._gone = told
