# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Servers in processes of their own, and the load on them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.load import REPLAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HOST: Final = "127.0.0.1"
START_WITHIN: Final = 30.0
STOP_WITHIN: Final = 20.0


def free_port() -> int:
    """Give a port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def uvicorn(app: str, environ: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Serve the factory *app* of ``benchmarks.apps`` with one worker."""
    port = free_port()
    command = ["-m", "uvicorn", f"benchmarks.apps:{app}", "--factory"]
    command += ["--host", HOST, "--port", str(port), "--log-level", "critical"]
    with running(command, port, environ) as server:
        yield server


@contextmanager
def sidecar(upstream: int, file: str) -> Iterator[Server]:
    """Run ``keyonce serve`` in front of the port *upstream*."""
    port = free_port()
    command = ["-m", "keyonce", "serve", "--upstream", f"http://{HOST}:{upstream}"]
    command += ["--listen", f"{HOST}:{port}", "--admin", "off"]
    command += ["--store", f"sqlite:///{file}", "--scope", "X-Api-Key"]
    with running(command, port) as server:
        yield server


class Server:
    """A process that listens on *port*."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        """Know a *process* that was started here."""
        self.process = process
        self.port = port

    def load(self, mode: str, seconds: float, run: str) -> dict[str, Any]:
        """Load it with 32 clients from another process; count its own time, too.

        Raises:
            RuntimeError: an answer was not 201, or a replay was none.
        """
        command = [sys.executable, "-m", "benchmarks.load", str(self.port)]
        command += ["--mode", mode, "--seconds", str(seconds), "--run", run]
        used = self.cpu()
        told: dict[str, Any] = json.loads(subprocess.check_output(command))
        told["cpu"] = (self.cpu() - used) / told["answered"]
        replays = told["answered"] if mode == REPLAY else 0
        if (told["answered"], replays) != (told["created"], told["replayed"]):
            raise RuntimeError(f"The server did not answer as it should: {told}")
        return told

    def cpu(self) -> float:
        """Give the seconds of processor time that it has used (Linux only)."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[str, int]:
        """Give its resident bytes, now and at their highest (Linux only)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        lines = dict(line.split(":", 1) for line in status.splitlines())
        return {
            "now": int(lines["VmRSS"].split()[0]) * 1024,
            "most": int(lines["VmHWM"].split()[0]) * 1024,
        }


@contextmanager
def running(
    command: Sequence[str], port: int, environ: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run Python with *command* until it listens; stop it at the end."""
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **(environ or {})},
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(process, port)
        yield Server(process, port)
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + START_WITHIN
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"The server did not start: {process.args!r}")
