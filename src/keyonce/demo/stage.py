# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Where the storm is played: a shop of two workers, with or without the guard."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from keyonce.demo.ledger import Ledger
from keyonce.demo.plan import Strike
from keyonce.demo.processes import Child, last_lines
from keyonce.demo.wire import Address, Request, exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
    from pathlib import Path

    from keyonce.demo.plan import Operation

HOST = "127.0.0.1"
EACH = 2
"""Workers of the shop, and sidecars where there are any."""

READY = 200
# `keyonce serve`, which ends with whoever holds its standard input.
SIDECAR = """
import os, signal, threading
def leave():
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=leave, daemon=True).start()
from keyonce.cli import main
main()
"""
RULES = """\
# Every write needs a key and runs at most once. The lease is short, so that a
# key whose sidecar was killed comes to its end while the storm lasts.
[[rule]]
match = "POST /**"
required = true
lease = "2s"
"""


class Stage:
    """A running shop, what stands in front of it, and who is killed when."""

    def __init__(self, folder: Path) -> None:
        """Keep ledger, logs and the sidecars' store in *folder*, a new one."""
        folder.mkdir()
        self._folder = folder
        self._listening = socket.create_server((HOST, 0), backlog=512)
        self._ready: set[Child] = set()
        self._workers: list[Child] = []
        self._sidecars: dict[Address, Child] = {}
        self._expected: dict[str, tuple[Strike, Address]] = {}
        self._striking: list[asyncio.Task[None]] = []
        self.strikes = 0
        self.ledger = folder / "shop.db"
        self._opened = Ledger.make(self.ledger)
        self.store = f"sqlite:///{folder / 'keyonce.db'}"
        self.shop = Address(*self._listening.getsockname()[:2])

    @property
    def fronts(self) -> Sequence[Address]:
        """The addresses that clients use: the sidecars', else the shop's."""
        return tuple(self._sidecars) or (self.shop,)

    def expect(self, operation: Operation, front: Address) -> None:
        """Kill what *operation* asks for once the shop says that it holds it."""
        if operation.strike is not None:
            self._expected[operation.name] = (operation.strike, front)

    async def open(self, *, guarded: bool) -> None:
        """Start the shop, then the sidecars if *guarded*; return when all serve."""
        await _together(self._start_worker() for _ in range(EACH))
        if guarded:
            (self._folder / "keyonce.toml").write_text(RULES, encoding="utf-8")
            ports = [_free_port() for _ in range(EACH)]
            await _together(self._start_sidecar(Address(HOST, port)) for port in ports)

    async def settle(self) -> None:
        """Wait until whoever was killed has been replaced, or raise ChildFailed."""
        await asyncio.gather(*self._striking)

    def last_words(self) -> str:
        """Give the end of every log, for whoever asks what went wrong."""
        return "\n".join(
            f"{log.name}:\n{last_lines(log)}"
            for log in sorted(self._folder.glob("*.log"))
        )

    async def close(self) -> None:
        """End every process, the front ones first."""
        for task in self._striking:
            task.cancel()
        await asyncio.gather(*self._striking, return_exceptions=True)
        await asyncio.gather(*(child.end() for child in self._sidecars.values()))
        await asyncio.gather(*(child.end() for child in self._workers))
        self._opened.close()
        self._listening.close()

    async def _start_worker(self) -> None:
        fd = self._listening.fileno()
        worker = await Child.start(
            ("-m", "keyonce.demo.shop", "--fd", f"{fd}", "--ledger", f"{self.ledger}"),
            self._folder / "shop.log",
            heard=self._hear,
            fds=(fd,),
        )
        self._workers.append(worker)
        await worker.until(lambda: worker in self._ready)

    async def _start_sidecar(self, at: Address) -> None:
        sidecar = await Child.start(
            (
                *("-c", SIDECAR, "serve", "--upstream", self.shop.url),
                *("--listen", f"{at.host}:{at.port}", "--admin", "off"),
                *("--store", self.store, "--scope", "X-Api-Key"),
                *("--config", f"{self._folder / 'keyonce.toml'}"),
            ),
            self._folder / f"sidecar-{at.port}.log",
            heard=self._hear,
        )
        self._sidecars[at] = sidecar
        await self._serves(at, sidecar)

    async def _serves(self, at: Address, sidecar: Child) -> None:
        """Ask the sidecar until it says that its store answers."""

        async def ask() -> None:
            request = Request("GET", "/_keyonce/ready", {})
            while True:
                answer = await exchange(at, request, patience=2.0)
                if answer is not None and answer.status == READY:
                    return
                await asyncio.sleep(0.05)

        asking = asyncio.create_task(ask())
        try:
            await sidecar.until(asking.done)
        finally:
            asking.cancel()

    def _hear(self, child: Child, line: str) -> None:
        """Note that *child* is ready, or kill what is due while it holds."""
        match line.split():
            case ["ready"]:
                self._ready.add(child)
            case ["holding", name] if name in self._expected:
                strike, front = self._expected.pop(name)
                task = asyncio.create_task(self._strike(strike, front, child))
                self._striking.append(task)

    async def _strike(self, strike: Strike, front: Address, worker: Child) -> None:
        """Kill the front or the worker, and start another in its place."""
        self.strikes += 1
        if strike is Strike.FRONT_AFTER_EFFECT and front in self._sidecars:
            await self._sidecars[front].kill()
            await self._start_sidecar(front)
        else:
            await worker.kill()
            await self._start_worker()


@asynccontextmanager
async def stage(folder: Path, *, guarded: bool) -> AsyncIterator[Stage]:
    """Open a stage in *folder*; all its processes are gone at the end."""
    opened = Stage(folder)
    try:
        await opened.open(guarded=guarded)
        yield opened
    finally:
        await opened.close()


async def _together(starts: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all *starts* to their end, and raise the first failure after it."""
    for outcome in await asyncio.gather(*starts, return_exceptions=True):
        if outcome is not None:
            raise outcome


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
