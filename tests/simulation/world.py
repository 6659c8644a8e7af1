# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A world without threads, sockets and clocks: virtual time and a seeded scheduler.

A lane is what the operating system would run by itself: an event loop, a thread. In
one lane things happen in the order that asyncio promises; which lane goes on next is
drawn from the seed, one callback at a time. Time passes when no lane can go on.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any, cast

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from tests.simulation.chance import Chance

EPOCH = 1_800_000_000.0


class Host:
    """What dies and stands still as one: a process with its lanes."""

    def __init__(self) -> None:
        self.alive = True
        self.lanes: list[Lane] = []


class World:
    """The time, the lanes, and what is to happen when."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance
        self.now = 0.0
        self.over = False
        self.steps = 0
        self.trace: list[str] = []
        self.times: list[float] = []
        self.errors: list[str] = []
        self.lanes: list[Lane] = []
        self.hub = getcurrent()
        self.lane: Lane | None = None
        self._running: VirtualLoop | None = None
        self._ready: list[Lane] = []
        self._later: list[
            tuple[float, int, Callable[..., object], tuple[Any, ...]]
        ] = []
        self._order = count()

    def after(self, seconds: float, call: Callable[..., object], *args: Any) -> None:
        """Have *call* made *seconds* from now, by nobody's lane."""
        heappush(self._later, (self.now + seconds, next(self._order), call, args))

    def note(self, what: str) -> None:
        """Put *what* into the trace: it is part of what makes this run this one."""
        self.trace.append(what)
        self.times.append(self.now)

    def queue(self, lane: Lane) -> None:
        """Let *lane* go on when its turn comes."""
        if not lane.queued and not lane.held:
            lane.queued = True
            self._ready.append(lane)

    def run(self, most_steps: int) -> None:
        """Go on until it is over, or nothing is left to happen."""
        ready, later, chance = self._ready, self._later, self.chance
        while not self.over:
            if ready:
                index = chance.below(len(ready)) if len(ready) > 1 else 0
                lane = ready[index]
                if lane.ready and lane.host.alive and not lane.held:
                    self.steps += 1
                    self.lane = lane
                    lane.step()
                    if lane.ready and lane.host.alive:
                        continue
                lane.queued = False
                ready[index] = ready[-1]
                ready.pop()
            elif later:
                self.now, _, call, args = heappop(later)
                self.lane = None
                call(*args)
                self.steps += 1
                if self.steps > most_steps:
                    self.errors.append("the run does not come to an end")
                    return
            else:
                return

    def enter(self, loop: VirtualLoop | None) -> None:
        """Let asyncio know which loop runs."""
        if loop is not self._running:
            self._running = loop
            events._set_running_loop(cast("Any", loop))

    def close(self) -> None:
        """Drop all that is still under way; nothing of it reaches anybody."""
        for lane in self.lanes:
            lane.host.alive = False
        try:
            for lane in self.lanes:
                lane.close()
        finally:
            self.enter(None)


class Lane:
    """One order of things in one host."""

    def __init__(self, world: World, host: Host) -> None:
        self.world = world
        self.host = host
        self.ready: deque[Any] = deque()
        self.queued = False
        self.held = 0
        world.lanes.append(self)
        host.lanes.append(self)

    def push(self, item: Any) -> None:
        if self.host.alive:
            self.ready.append(item)
            if not self.queued:
                self.world.queue(self)

    def step(self) -> None:
        raise NotImplementedError

    def hold(self, seconds: float) -> None:
        """Stand still for a while, as a process does under SIGSTOP."""
        self.held += 1
        self.world.after(seconds, self._go_on)

    def _go_on(self) -> None:
        self.held -= 1
        if self.ready:
            self.world.queue(self)

    def close(self) -> None:
        raise NotImplementedError


class Handle:
    """One callback of a loop."""

    __slots__ = ("args", "at", "call", "context", "dead")

    def __init__(
        self,
        call: Callable[..., object],
        args: tuple[Any, ...],
        context: Context | None,
        at: float = 0.0,
    ) -> None:
        self.call = call
        self.args = args
        self.context = copy_context() if context is None else context
        self.at = at
        self.dead = False

    def cancel(self) -> None:
        self.dead = True

    def cancelled(self) -> bool:
        return self.dead

    def when(self) -> float:
        return self.at


class VirtualLoop(Lane):
    """An event loop in virtual time: as much of one as tasks and futures ask for."""

    def __init__(self, world: World, host: Host) -> None:
        super().__init__(world, host)
        self.tasks: list[asyncio.Task[Any]] = []

    def step(self) -> None:
        handle = self.ready.popleft()
        if handle.dead:
            return
        self.world.enter(self)
        try:
            handle.context.run(handle.call, *handle.args)
        except Exception as error:  # noqa: BLE001 - the oracle judges it
            self.world.errors.append(f"a callback raised {error!r}")

    # ---------------------------------------------------- what asyncio asks of a loop

    def time(self) -> float:
        return self.world.now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return not self.host.alive

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = Handle(callback, args, context)
        self.push(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Any = None
    ) -> Any:
        handle = Handle(callback, args, context, self.world.now + delay)
        self.world.after(max(0.0, delay), self.push, handle)
        return handle

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> Any:
        delay = when - self.world.now
        return self.call_later(delay, callback, *args, context=context)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=cast("Any", self))

    def create_task(self, coro: Any, **how: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=cast("Any", self), **how)
        if len(self.tasks) > 32:
            self.tasks = self.pending()
        self.tasks.append(task)
        return task

    def run_in_executor(self, _executor: Any, func: Any, *args: Any) -> Any:
        told = self.create_future()

        def call() -> None:
            self.call_soon(told.set_result, func(*args))

        VirtualThread(self.world, self.host, call).start()
        return told

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Say nothing: who forgets an exception has answered in another way."""

    # -------------------------------------------------------------------------------

    def pending(self) -> list[asyncio.Task[Any]]:
        """The tasks that have not ended."""
        return [task for task in self.tasks if not task.done()]

    def close(self) -> None:
        self.ready.clear()
        self.world.enter(self)
        while self.tasks:
            task = self.tasks.pop()
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                _close(task.get_coro())


def _close(coroutine: Any) -> None:
    for _ in range(10):
        try:
            coroutine.close()
        except RuntimeError:  # it awaits in a finally: nobody answers any more
            continue
        except BaseException:  # noqa: BLE001 - a dead process tells nobody
            return
        return


class VirtualThread(Lane):
    """A thread that gives way where it would block."""

    def __init__(self, world: World, host: Host, target: Callable[[], object]) -> None:
        super().__init__(world, host)
        self._target = target
        self._self = greenlet(self._run, parent=world.hub)
        self._ended = False
        self._joined: list[Callable[[], object]] = []

    def start(self) -> None:
        self.push(())

    def step(self) -> None:
        given = self.ready.popleft()
        self.world.enter(None)
        self._self.switch(*given)

    def _run(self) -> None:
        try:
            self._target()
        except Exception as error:  # noqa: BLE001 - the oracle judges it
            self.world.errors.append(f"a thread raised {error!r}")
        self._ended = True
        for told in self._joined:
            told()

    def block(self) -> Any:
        """Give way until somebody calls ``resume``."""
        return self.world.hub.switch()

    def resume(self, answer: object) -> None:
        self.push((answer,))

    def join(self, timeout: float | None = None) -> None:
        me = self.world.lane
        if self._ended or not isinstance(me, VirtualThread):
            return
        self._joined.append(lambda: me.resume(None))
        me.block()

    def close(self) -> None:
        self.ready.clear()
        if not self._ended and self._self:
            self._self.throw()
