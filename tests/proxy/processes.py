# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce serve`` as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keyonce

PROGRAM = """
import sys
from pathlib import Path
from keyonce.core.errors import IdempotencyError
from keyonce.proxy.config import load
from keyonce.proxy.serve import serve

if __name__ == "__main__":
    try:
        sys.exit(serve(load(Path(sys.argv[1]), {})))
    except IdempotencyError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
"""


@dataclass
class Program:
    """A running sidecar."""

    process: subprocess.Popen[str]
    port: int
    admin: int

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def children(self) -> list[int]:
        """The workers, which spawn starts by a named entry point."""
        return [
            int(path.parent.name)
            for path in Path("/proc").glob("[0-9]*/cmdline")
            if _parent(path.parent) == self.process.pid and b"spawn_main" in _read(path)
        ]

    def page(self, path: str, *, within: float = 5) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.admin}{path}"
        try:
            with urllib.request.urlopen(url, timeout=within) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _parent(folder: Path) -> int:
    stat = _read(folder / "stat").decode("latin-1")
    return int(stat.rpartition(")")[2].split()[1]) if stat else 0


def start(folder: Path, toml: str) -> subprocess.Popen[str]:
    """Start the program in *folder* on this configuration."""
    (folder / "keyonce.toml").write_text(toml)
    (folder / "program.py").write_text(PROGRAM)
    with (folder / "log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "program.py", "keyonce.toml"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(keyonce.__file__).parents[1])},
        )


@contextmanager
def running(folder: Path, toml: str) -> Iterator[Program]:
    """Run the program until the block ends; it then gets ten seconds to end."""
    process = start(folder, toml)
    try:
        yield _ready(process, folder)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _ready(process: subprocess.Popen[str], folder: Path) -> Program:
    assert process.stdout
    first, second = process.stdout.readline(), process.stdout.readline()
    assert first.startswith("keyonce on"), (folder / "log").read_text()
    port = int(first.split(" -> ")[0].rpartition(":")[2])
    admin = 0 if "off" in second else int(second.split(" (")[0].rpartition(":")[2])
    program = Program(process, port, admin)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        url = f"http://127.0.0.1:{port}/_keyonce/ready"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return program
        except OSError:
            time.sleep(0.05)
    raise AssertionError((folder / "log").read_text())
