# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The heartbeat's view of `threading` and `time`, in a virtual world.

The engine's own code runs, line by line; what it finds in place of the module
`threading` gives way to the scheduler where a thread would block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Self

from keyonce.engine import heartbeat, tokens
from keyonce.integrations import gateway
from tests.simulation.world import EPOCH, VirtualThread, World


class VirtualCondition:
    """A condition among lanes of which only one runs at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: list[VirtualThread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was locked."""

    def wait(self, timeout: float | None = None) -> None:
        me = self._world.lane
        assert isinstance(me, VirtualThread)
        self._waiting.append(me)
        if timeout is not None and timeout != float("inf"):
            self._world.after(timeout, self._wake, me)
        me.block()

    def notify(self) -> None:
        if self._waiting:
            self._wake(self._waiting[0])

    def _wake(self, thread: VirtualThread) -> None:
        if thread in self._waiting:
            self._waiting.remove(thread)
            thread.resume(None)


def _threading(world: World) -> SimpleNamespace:
    def thread(*, target: Callable[[], object], **_: Any) -> VirtualThread:
        assert world.lane is not None
        return VirtualThread(world, world.lane.host, target)

    return SimpleNamespace(
        Thread=thread,
        Condition=lambda: VirtualCondition(world),
        Lock=threading.Lock,
    )


@contextmanager
def virtual(world: World) -> Iterator[None]:
    """Let the engine's threads, its tokens and the gateway's clock be *world*'s."""
    time = SimpleNamespace(monotonic=lambda: world.now, time=lambda: EPOCH + world.now)
    chance = world.chance
    urandom = SimpleNamespace(urandom=chance.randbytes)
    before: list[tuple[Any, str, Any]] = []
    for module, name, instead in (
        (heartbeat, "threading", _threading(world)),
        (gateway, "time", time),
        (tokens, "os", urandom),
        (tokens, "random", chance),
    ):
        before.append((module, name, getattr(module, name)))
        setattr(module, name, instead)
    try:
        yield
    finally:
        for module, name, real in before:
            setattr(module, name, real)
