# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Worker processes over one store file: started, asked, stopped, killed."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from keyonce.core.model import Query, Record
from keyonce.stores.url import open_store
from tests.crash.app import Ledger

ROOT = Path(__file__).parents[2]
WITHIN = 30.0
LEASE = 0.6


class Answer(NamedTuple):
    """What a caller got. *code* is that of our own problem, or empty."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def code(self) -> str:
        problem = self.header("content-type") == "application/problem+json"
        return json.loads(self.body)["code"] if problem else ""

    @property
    def replayed(self) -> bool:
        return self.header("idempotency-replayed") == "true"

    @property
    def outcome(self) -> tuple[int, str | None, bytes]:
        """What two answers for one request must have in common."""
        return self.status, self.header("x-receipt"), self.body

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)


class Worker:
    """One process that serves, and stops where it is told to."""

    program = "tests.crash.app"

    def __init__(self, settings: dict[str, Any], log: Path) -> None:
        report, self._report = os.pipe()
        self._go_on, go_on = os.pipe()
        self._heard, self._told = report, go_on
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            self.port = listener.getsockname()[1]
            fds = {
                "listener": listener.fileno(),
                "report": self._report,
                "go_on": self._go_on,
            }
            with log.open("ab") as said:
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        *("-m", self.program),
                        json.dumps(settings | fds),
                    ],
                    pass_fds=list(fds.values()),
                    cwd=ROOT,
                    stdout=said,
                    stderr=said,
                )
        os.close(self._report)
        os.close(self._go_on)
        self._pool = ThreadPoolExecutor(64)
        self._lines = b""

    # --------------------------------------------------------------- asking

    def post(self, path: str, key: str, **headers: str) -> Answer:
        """Send one request and read its answer; a broken line raises."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WITHIN)
        try:
            sent = {"Idempotency-Key": key, "X-Api-Key": "tenant", **headers}
            connection.request("POST", path, b'{"amount": 12}', sent)
            got = connection.getresponse()
            lowered = [(name.lower(), value) for name, value in got.getheaders()]
            return Answer(got.status, tuple(lowered), got.read())
        finally:
            connection.close()

    def posts(self, path: str, key: str, **headers: str) -> Future[Answer]:
        """Send one request without waiting for its answer."""
        return self._pool.submit(self.post, path, key, **headers)

    def settled(self, path: str, key: str) -> Answer:
        """Ask as a patient caller does: again, while it is told to come back."""
        until = time.monotonic() + WITHIN
        while True:
            answer = self.post(path, key)
            if answer.code != "request-in-progress":
                return answer
            assert int(answer.header("retry-after") or 0) >= 1
            assert time.monotonic() < until, "the key is stuck"
            time.sleep(0.1)

    # ------------------------------------------------------------- handshake

    def reaches(self, *points: str) -> None:
        """Wait until the process stands at each of *points*."""
        stands = sorted(self._line() for _ in points)
        assert sorted(points) == stands

    def _line(self) -> str:
        until = time.monotonic() + WITHIN
        while b"\n" not in self._lines:
            left = until - time.monotonic()
            assert select.select([self._heard], [], [], max(0.0, left))[0], "silence"
            piece = os.read(self._heard, 1024)
            assert piece, "the process has ended"
            self._lines += piece
        line, _, self._lines = self._lines.partition(b"\n")
        return line.decode()

    def goes_on(self, times: int = 1) -> None:
        """Let what stands at a point go on."""
        os.write(self._told, b"." * times)

    # --------------------------------------------------------------- signals

    def dies(self) -> None:
        """Kill the process: a process crash, not a power loss."""
        self._process.send_signal(signal.SIGKILL)
        assert -signal.SIGKILL == self._process.wait(WITHIN)

    def freezes(self) -> None:
        """Stop the process as a suspended machine does."""
        os.kill(self._process.pid, signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def thaws(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def code(self) -> int:
        """Wait until the process has ended by itself; give its exit code."""
        return self._process.wait(WITHIN)

    def close(self) -> None:
        """End the process as an operator does, if it has not ended yet."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                raise
        self._pool.shutdown()
        os.close(self._heard)
        os.close(self._told)


class Site:
    """A store file and a ledger, and the workers over them."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keyonce.db"
        self.ledger = Ledger(str(folder / "ledger.db"))
        self._folder = folder
        self._workers: list[Worker] = []

    def worker(
        self, *stop: str, in_flight: str = "reject", lease: float = LEASE
    ) -> Worker:
        """Start another process, that stops at *stop*."""
        settings = {
            "store": f"sqlite:///{self.file}",
            "ledger": str(self._folder / "ledger.db"),
            "stop": stop,
            "in_flight": in_flight,
            "lease": lease,
        }
        worker = Worker(settings, self._folder / "log.txt")
        self._workers.append(worker)
        return worker

    def records(self, **which: Any) -> list[Record]:
        """List records as an operator does."""
        store = open_store(f"sqlite:///{self.file}")
        try:
            return list(store.records(Query(**which)))
        finally:
            store.close()

    def close(self) -> None:
        for worker in self._workers:
            worker.close()
        self.ledger.close()


def eventually(true: Callable[[], Any]) -> None:
    """Wait until *true* is."""
    until = time.monotonic() + WITHIN
    while not true():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)
