# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The programs of one example: started, asked over HTTP, killed at a named point."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tests.examples.launch import Launch, run
from tests.servers.programs import free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
WITHIN = 40.0

# Each process is forked from one that has imported all this: starting is cheap, and so
# are many deaths.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "aiohttp",
        "fastapi",
        "flask",
        "keyonce.integrations.asgi",
        "keyonce.integrations.wsgi",
        "keyonce.stores.postgres",
        "pydantic.v1.fields",
        "pytest",
        "sqlalchemy.dialects.postgresql.psycopg",
        "sqlalchemy.dialects.sqlite",
        "starlette.applications",
        "tests.examples.launch",
        "uvicorn.lifespan.on",
        "uvicorn.protocols.http.auto",
        "uvicorn.protocols.websockets.auto",
    ]
)

# What a program of an example takes from its environment, and else.
_SETTING = re.compile(r'environ\.get\(\s*"(\w+)",\s*"([^"]*)"\s*\)')
_PORT = re.compile(r"\b[189]\d{3}\b")


class Answer(NamedTuple):
    """What a caller got. *code* is that of our own problem, or empty."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        problem = self.header("content-type") == "application/problem+json"
        return self.json["code"] if problem else ""

    @property
    def replayed(self) -> bool:
        return self.header("idempotency-replayed") == "true"

    @property
    def outcome(self) -> tuple[int, bytes]:
        """What the first answer and every replay have in common, byte for byte."""
        return self.status, self.body

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)


class Request(NamedTuple):
    """What is sent, *body* as JSON. Whoever sends it again sends the same."""

    method: str
    path: str
    body: Any = None
    key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Program:
    """One running process of an example, that may stop where it is told to."""

    def __init__(self, port: int, launch: Launch) -> None:
        self.port = port
        self._line, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=run, args=(launch, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._pool = ThreadPoolExecutor(16)

    @property
    def runs(self) -> bool:
        return self._process.is_alive()

    def listens(self) -> bool:
        """Whether somebody answers at the port; the process has to be alive."""
        assert self.runs, "the program has ended"
        with socket.create_connection(("127.0.0.1", self.port), timeout=WITHIN):
            return True

    # --------------------------------------------------------------- asking

    def get(self, path: str) -> Any:
        """Give the JSON at *path*."""
        return self.send(Request("GET", path)).json

    def send(self, request: Request) -> Answer:
        """Send *request* once and read its answer.

        Raises:
            OSError, http.client.HTTPException: the line broke.
        """
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WITHIN)
        sent = {"X-Api-Key": "ann", "Content-Type": "application/json"}
        if request.key is not None:
            sent["Idempotency-Key"] = request.key
        sent |= dict(request.headers)
        try:
            data = None if request.body is None else json.dumps(request.body).encode()
            line.request(request.method, request.path, data, sent)
            got = line.getresponse()
            lowered = [(name.lower(), value) for name, value in got.getheaders()]
            return Answer(got.status, tuple(lowered), got.read())
        finally:
            line.close()

    def sends(self, request: Request) -> Future[Answer]:
        """Send *request* without waiting for its answer."""
        return self._pool.submit(self.send, request)

    def settled(self, request: Request) -> Answer:
        """Ask as a patient caller does: again, while told that this helps."""
        until = time.monotonic() + WITHIN
        while True:
            answer = self.send(request)
            retryable = answer.code and answer.json["retryable"]
            if not retryable and answer.status != 503:
                return answer
            assert time.monotonic() < until, f"no end: {answer.body!r}"
            time.sleep(0.1)

    def tells(self, requests: Mapping[str, Request]) -> dict[str, list[Answer]]:
        """Send all of *requests* at once until they are settled, each three times."""
        asked = {
            name: self._pool.submit(self.settled, request)
            for name, request in requests.items()
        }
        return {
            name: [first.result(), *(self.send(requests[name]) for _ in range(2))]
            for name, first in asked.items()
        }

    # ------------------------------------------------------------- handshake

    def reaches(self, point: str) -> None:
        """Wait until the process stands at *point*."""
        assert self._line.poll(WITHIN), f"It never came to {point}."
        assert point == self._line.recv()

    def goes_on(self) -> None:
        """Let what stands at a point go on."""
        self._line.send("go on")

    def dies(self) -> None:
        """Kill the process: a process crash, not a power loss."""
        self._process.kill()
        self._process.join(WITHIN)
        assert -signal.SIGKILL == self._process.exitcode

    def freezes(self) -> None:
        """Stop the process, as one that hangs."""
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def ends(self) -> None:
        """Wait until the process has ended by itself."""
        self._process.join(WITHIN)
        assert not self.runs, "the program goes on"

    def close(self) -> None:
        """End the process, if it has not ended yet."""
        self._process.terminate()
        self._process.join(10)
        self._process.kill()
        self._process.join()
        self._pool.shutdown()
        self._line.close()


class Example:
    """One folder of ``examples``, run in an empty folder, on free ports.

    A program says in its source on which port it listens and where it finds others,
    by ``os.environ.get("PORT", "8000")``: each port written there is another here,
    the same in all programs.
    """

    def __init__(self, name: str, folder: Path, **settings: str) -> None:
        self.home = EXAMPLES / name
        self.folder = folder
        self.log = folder / "log.txt"
        self.log.touch()
        self.ports: dict[str, str] = {}
        self._settings = settings
        self._programs: list[Program] = []
        self._turn = threading.Lock()

    def start(self, file: str = "app.py", *points: str, **settings: str) -> Program:
        """Start one program and wait until it listens.

        It stops at *points*; *settings* are names in its environment.
        """
        source = self.home / file
        with self._turn:
            port = self._port_for(source)
            environment = self._environment(source, port) | settings
            launch = Launch(source, points, self.folder, self.log, environment)
            program = Program(port, launch)
            self._programs.append(program)
        try:
            wait_until(program.listens)
        except AssertionError as error:
            error.add_note(self.log.read_text())
            raise
        return program

    def kills(
        self, requests: Mapping[str, Request], *, file: str = "app.py", **settings: str
    ) -> None:
        """Kill a process at each point, at its own request; some at a time."""
        with ThreadPoolExecutor(3) as pool:
            done = [
                pool.submit(self.killed, point, request, file=file, **settings)
                for point, request in requests.items()
            ]
        for each in done:
            each.result()

    def killed(
        self, point: str, request: Request, *, file: str = "app.py", **settings: str
    ) -> None:
        """Start a program, send it *request*, and kill it at *point*."""
        program = self.start(file, point, **settings)
        sent = program.sends(request)
        program.reaches(point)
        program.dies()
        error = sent.exception(WITHIN)
        assert isinstance(error, OSError | http.client.HTTPException), error
        program.close()
        self._programs.remove(program)

    def _port_for(self, file: Path) -> int:
        """Give a port for *file*: that of the one before, where that has ended."""
        shown = _settings_of(file)["PORT"]
        taken = {str(program.port) for program in self._programs if program.runs}
        if shown not in self.ports or self.ports[shown] in taken:
            self.ports[shown] = str(free_port())
        return int(self.ports[shown])

    def _environment(self, file: Path, port: int) -> dict[str, str]:
        """Give the environment of the program *file*, which listens on *port*."""
        found = _settings_of(file)
        moved = {name: _PORT.sub(self._moved, found[name]) for name in found}
        changed = {name: value for name, value in moved.items() if found[name] != value}
        return dict(os.environ) | changed | {"PORT": str(port)} | self._settings

    def _moved(self, shown: re.Match[str]) -> str:
        return self.ports.get(shown[0], shown[0])

    def close(self) -> None:
        for program in self._programs:
            program.close()


def _settings_of(file: Path) -> dict[str, str]:
    return dict(_SETTING.findall(file.read_text(encoding="utf-8")))


def wait_until(true: Callable[[], Any]) -> None:
    """Wait until *true* is; it may raise OSError before it can be asked."""
    until = time.monotonic() + WITHIN
    while True:
        try:
            if true():
                return
        except OSError:
            pass
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)
