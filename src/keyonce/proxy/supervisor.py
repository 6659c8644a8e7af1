# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Several worker processes on one listening socket, and the parent that keeps them."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final

from keyonce.core.errors import ConfigurationError
from keyonce.proxy import logs, metrics
from keyonce.proxy.worker import STARTUP_FAILED, Worker

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from multiprocessing.context import SpawnProcess

    from keyonce.proxy.config import Config

_SPAWN: Final = multiprocessing.get_context("spawn")
_HANG_UP: Final[signal.Signals | None] = getattr(signal, "SIGHUP", None)
_LOOK_EVERY: Final = 0.5
_AFTER_DRAIN: Final = 5.0
_LONGEST_PAUSE: Final = 5.0
_LIVED_LONG: Final = 10.0

logger = logging.getLogger("keyonce")


@dataclass(slots=True)
class _Place:
    """One worker's place, which is filled again when its worker dies."""

    process: SpawnProcess | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    starts: int = 0
    deaths: int = 0


@dataclass(slots=True)
class Supervisor:
    """Starts *config.workers* processes on *bound*, and others for those that die.

    SIGTERM and SIGINT are handed to the workers, which drain; SIGHUP makes each read
    its rules again, and *reloaded* hears of them here.
    """

    config: Config
    bound: socket.socket
    reloaded: Callable[[Config], None]
    _places: list[_Place] = field(default_factory=list)
    _stop_by: float | None = None
    _status: int = 0

    def run(self) -> int:
        """Serve until a signal comes; give the exit status."""
        self._places = [_Place() for _ in range(self.config.workers)]
        with self._signals():
            while self._stop_by is None:
                self._fill()
                self._look()
            self._end()
        return self._status

    def _fill(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if place.process is None and place.start_at <= now:
                place.process = _start(self.config, self.bound)
                place.started_at = now
                place.starts += 1

    def _look(self) -> None:
        running = [one.process.sentinel for one in self._places if one.process]
        wait(running, timeout=_LOOK_EVERY)
        for place in self._places:
            if place.process is not None and not place.process.is_alive():
                self._died(place, place.process)

    def _died(self, place: _Place, process: SpawnProcess) -> None:
        process.join()
        place.process = None
        if metrics.available() and process.pid is not None:
            metrics.forget(process.pid)
        if self._stop_by is not None:
            return
        if process.exitcode == STARTUP_FAILED and place.starts == 1:
            # It would fail in the same way each time: say so, and stop.
            logger.error("A worker could not start.")
            self._status = STARTUP_FAILED
            self._stop()
            return
        place.start_at = time.monotonic() + _pause(place)
        ended = f"Worker {process.pid} died ({process.exitcode})"
        logger.error("%s; another takes its place.", ended)

    def _stop(self) -> None:
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self.config.drain + _AFTER_DRAIN
        self._tell(signal.SIGTERM)

    def _end(self) -> None:
        self.bound.close()
        while any(place.process for place in self._places):
            self._look()
            if self._stop_by is not None and time.monotonic() > self._stop_by:
                logger.error("Workers that did not end in time are killed.")
                for place in self._places:
                    if place.process is not None:
                        place.process.kill()
                self._stop_by = math.inf

    def _tell(self, number: int) -> None:
        for place in self._places:
            if place.process is not None and place.process.pid is not None:
                try:
                    os.kill(place.process.pid, number)
                except ProcessLookupError:
                    continue

    def _reload(self) -> None:
        try:
            config = self.config.read_again()
        except ConfigurationError as error:
            logger.warning("Configuration not taken, the old one holds: %s", error)
            return
        # A worker that takes another's place has the rules that hold by then.
        self.config = self.config.with_rules_of(config)
        self.reloaded(config)
        if _HANG_UP is not None:
            self._tell(_HANG_UP)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_signal: int, _frame: Any) -> None:
            self._stop()

        def reload(_signal: int, _frame: Any) -> None:
            self._reload()

        handlers = {signal.SIGINT: stop, signal.SIGTERM: stop}
        if _HANG_UP is not None:
            handlers[_HANG_UP] = reload
        before = {sig: signal.signal(sig, handle) for sig, handle in handlers.items()}
        try:
            yield
        finally:
            for sig, handle in before.items():
                signal.signal(sig, handle)


def _pause(place: _Place) -> float:
    """Say how long to wait before the next start, longer after each early death."""
    lived_long = time.monotonic() - place.started_at > _LIVED_LONG
    place.deaths = 0 if lived_long else place.deaths + 1
    return min(_LONGEST_PAUSE, 0.1 * 2**place.deaths) if place.deaths > 1 else 0.0


def _start(config: Config, bound: socket.socket) -> SpawnProcess:
    process = _SPAWN.Process(target=work, args=(config, bound), name="keyonce-worker")
    process.start()
    return process


def work(config: Config, bound: socket.socket) -> None:
    """Be a worker: the first thing that its process runs."""
    hung_up: list[int] = []
    if _HANG_UP is not None:
        signal.signal(_HANG_UP, lambda number, _frame: hung_up.append(number))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logs.set_up(config)
    observer = metrics.of_a_worker() if metrics.available() else None
    worker = Worker(config, observer=observer)
    if _HANG_UP is not None:
        signal.signal(_HANG_UP, lambda _number, _frame: worker.reload())
    if hung_up:
        worker.reload()
    raise SystemExit(worker.run(bound))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
