# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The line between a node and the store, on which anything may go wrong.

Two faces of one line: ``AsyncFace`` for the node's loop, ``BlockingFace`` for the
threads of its heartbeat.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from keyonce.core.errors import StoreUnavailable
from keyonce.core.model import (
    Claim,
    Claimed,
    Completion,
    Identity,
    Note,
    Query,
    Record,
    Settlement,
    Traits,
)
from tests.simulation.store import TRAITS, ModelStore
from tests.simulation.weather import Weather
from tests.simulation.world import Host, VirtualThread, World

Deliver = Callable[[Any, BaseException | None], None]


class Place:
    """What a request waits for just now; cancelling it there is worth counting."""

    __slots__ = ("number", "payload", "phase")

    def __init__(self, number: int, payload: bytes) -> None:
        self.number = number
        self.payload = payload
        self.phase = "received"


NOBODY = Place(0, b"")
PLACE: ContextVar[Place] = ContextVar("simulated_place", default=NOBODY)


class Line:
    """Carries commands there and answers back, as the weather is."""

    def __init__(
        self, world: World, host: Host, store: ModelStore, weather: Weather, name: str
    ) -> None:
        self._world = world
        self._host = host
        self._store = store
        self._weather = weather
        self._name = name
        self._latency = world.chance.between(0.0005, 0.02)

    def call(
        self, verb: str, place: Place, args: tuple[Any, ...], tell: Deliver
    ) -> None:
        if not self._host.alive:
            return
        world, chance, weather = self._world, self._world.chance, self._weather
        there, back = self._trip(), self._trip()
        if verb == "claim" and weather.purges():  # just before it arrives
            world.after(there, self._store.purge, args[0].identity)
        if not weather.is_foul:
            world.after(there, self._apply, verb, place, args, tell, back, 0.0)
            return
        fault = weather.mishap(self._name, verb)
        stale = weather.staleness() if verb == "find" else 0.0
        if fault is None:
            world.after(there, self._apply, verb, place, args, tell, back, stale)
            return
        world.note(f"{self._name} {verb} {fault}")
        if verb == "complete" and fault == "lost-request":
            weather.unheard.add(args[0].owner)
        fails_in = chance.between(0.01, 1.5)
        match fault:
            case "lost-request":
                world.after(fails_in, self._fail, tell)
            case "lost-reply":
                world.after(there, self._apply, verb, place, args, None, 0.0, 0.0)
                world.after(there + fails_in, self._fail, tell)
            case "doubled":
                first = chance.maybe(0.5)
                again = there + chance.between(0.001, 2.0)
                for when, told in ((there, first), (again, not first)):
                    heard = tell if told else None
                    world.after(when, self._apply, verb, place, args, heard, back, 0.0)
            case "late":
                world.after(fails_in, self._fail, tell)
                late = fails_in + chance.between(0.01, 4.0)
                world.after(late, self._apply, verb, place, args, None, 0.0, 0.0)
            case _:  # slow
                there += chance.between(0.1, 2.0)
                back += chance.between(0.0, 2.0)
                world.after(there, self._apply, verb, place, args, tell, back, 0.0)

    def _trip(self) -> float:
        return self._latency * (0.5 + self._world.chance.random())

    def _apply(
        self,
        verb: str,
        place: Place,
        args: tuple[Any, ...],
        tell: Deliver | None,
        back: float,
        stale: float,
    ) -> None:
        world = self._world
        error: BaseException | None = None
        answer: Any = None
        if stale:
            args = (*args, stale)
        try:
            answer = getattr(self._store, verb)(place.number, place.payload, *args)
        except Exception as refused:  # noqa: BLE001 - it is the answer
            error = refused
        world.note(f"{self._name} {verb}")
        if tell is not None:
            world.after(back, tell, answer, error)

    def _fail(self, tell: Deliver) -> None:
        tell(None, StoreUnavailable("The line to the store is down."))


class Watch:
    """One ear at one record: news is lost where the weather is bad."""

    def __init__(self, face: AsyncFace, identity: Identity, wake: Any) -> None:
        self._face = face
        self._identity = identity
        self._wake = wake
        face.store.watch(identity, self, self._told)

    @property
    def in_force(self) -> bool:
        return not self._face.weather.is_foul or self._face.weather.chance.maybe(0.8)

    def _told(self) -> None:
        weather = self._face.weather
        if not (weather.is_foul and weather.chance.maybe(0.2)):
            self._face.world.after(weather.chance.between(0.0, 0.05), self._wake)

    def close(self) -> None:
        self._face.store.unwatch(self._identity, self)


class AsyncFace:
    """An AsyncStore at the end of a line."""

    def __init__(
        self, world: World, line: Line, store: ModelStore, weather: Weather
    ) -> None:
        self.world = world
        self.store = store
        self.weather = weather
        self._line = line

    @property
    def traits(self) -> Traits:
        return TRAITS

    def blocking(self) -> BlockingFace:
        return BlockingFace(self.world, self._line)

    def claim(self, command: Claim) -> Future[Claimed]:
        return self._call("claim", command)

    def complete(self, command: Completion) -> Future[Record | None]:
        return self._call("complete", command)

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> Future[bool]:
        return self._call("release", identity, owner, reason, retention_for)

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> Future[bool]:
        return self._call("abandon", identity, owner, reason)

    def renew(self, identity: Identity, owner: bytes) -> Future[Record | None]:
        return self._call("renew", identity, owner)

    def note(self, command: Note) -> Future[bool]:
        return self._call("note", command)

    def find(self, identity: Identity) -> Future[Claimed | None]:
        return self._call("find", identity)

    def settle(self, command: Settlement) -> Future[Record]:
        return self._call("settle", command)

    def announce(self, identity: Identity) -> Future[bool]:
        return self._call("announce", identity)

    def records(self, query: Query) -> Future[list[Record]]:
        return self._call("listing", query)

    def examine(self) -> Future[list[Any]]:
        return self._call("examine")

    def _call(self, verb: str, *args: Any) -> Future[Any]:
        answer: Future[Any] = get_running_loop().create_future()
        place = PLACE.get()
        if place is not NOBODY:
            place.phase = verb

        def tell(value: Any, error: BaseException | None) -> None:
            if answer.done():
                return
            if place is not NOBODY:
                place.phase = "running"
            if error is None:
                answer.set_result(value)
            else:
                answer.set_exception(error)

        self._line.call(verb, place, args, tell)
        return answer


class TellingFace(AsyncFace):
    """An AsyncStore that tells of ends, as PostgreSQL and Redis do."""

    def watch(self, identity: Identity, wake: Callable[[], object]) -> Watch:
        return Watch(self, identity, wake)


class BlockingFace:
    """What the heartbeat's thread calls: it blocks, and others go on."""

    traits = TRAITS

    def __init__(self, world: World, line: Line) -> None:
        self._world = world
        self._line = line

    def renew(self, identity: Identity, owner: bytes) -> Record | None:
        renewed: Record | None = self._call("renew", identity, owner)
        return renewed

    def complete(self, command: Completion) -> Record | None:
        record: Record | None = self._call("complete", command)
        return record

    def release(
        self, identity: Identity, owner: bytes, reason: str, retention_for: float | None
    ) -> bool:
        return bool(self._call("release", identity, owner, reason, retention_for))

    def abandon(self, identity: Identity, owner: bytes, reason: str) -> bool:
        return bool(self._call("abandon", identity, owner, reason))

    def _call(self, verb: str, *args: Any) -> Any:
        me = self._world.lane
        assert isinstance(me, VirtualThread)

        def tell(value: Any, error: BaseException | None) -> None:
            me.resume((value, error))

        self._line.call(verb, NOBODY, args, tell)
        value, error = me.block()
        if error is not None:
            raise error
        return value
