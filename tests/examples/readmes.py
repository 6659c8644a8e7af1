# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The page of an example: what it tells to type, what it shows, what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path
from typing import NamedTuple

from tests.docs.pages import codes, fences, rows, section
from tests.examples.programs import EXAMPLES, WITHIN, Example, Program
from tests.servers.programs import found

NAMES = tuple(sorted(path.parent.name for path in EXAMPLES.glob("*/README.md")))
KILLED = "When the worker is killed"
SIDECAR = str(Path(__file__).with_name("sidecar.py"))

_STARTS = re.compile(r"python examples/\w+/(\w+\.py) &$").match
_SERVES = re.compile(r"keyonce serve --config examples/ticket/keyonce\.toml &$").match
_KILLS = re.compile(r"kill -(9|STOP) %(\d)$").match
_ADDRESS = re.compile(r"(?<=127\.0\.0\.1:)\d+")


def read(name: str) -> str:
    return (EXAMPLES / name / "README.md").read_text(encoding="utf-8")


def killed_at(name: str, heading: str = KILLED) -> list[str]:
    """The points of the table under *heading*, which says what comes of a kill."""
    return [codes(row[0])[0] for row in rows(section(read(name), heading))]


class Said(NamedTuple):
    """A command that a page tells to type, and what it shows below."""

    command: str
    shown: str


def session(text: str) -> list[Said]:
    """Every command of the page's console blocks, in their order.

    A command goes on where its line ends in a backslash.
    """
    said = []
    for fence in fences(text, "console"):
        whole = fence.text.replace("\\\n", "\\\0")
        for piece in re.split(r"^\$ ", whole, flags=re.MULTILINE)[1:]:
            command, _, shown = piece.partition("\n")
            said.append(Said(command.replace("\\\0", ""), shown))
    return said


class Shell:
    """Does what a page tells to type, in the folder of *example*."""

    def __init__(self, example: Example) -> None:
        self._example = example
        self._jobs: list[tuple[str, Program]] = []

    def type(self, command: str) -> str:
        """Run *command* and give what it prints, as the page would show it."""
        if starting := _STARTS(command):
            self._start(starting[1])
            return ""
        if _SERVES(command):
            self._start(SIDECAR)
            return ""
        if killing := _KILLS(command):
            _, program = self._jobs[int(killing[2]) - 1]
            program.dies() if killing[1] == "9" else program.freezes()
            return ""
        ports = self._example.ports
        moved = _ADDRESS.sub(lambda shown: ports.get(shown[0], shown[0]), command)
        moved = moved.replace(" examples/", f" {EXAMPLES}/")
        found("curl", brought_by="apt-get install curl")
        done = subprocess.run(
            ["/bin/sh", "-c", moved],
            cwd=self._example.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        # Where it prints to no terminal, curl tells on stderr how fast it is.
        printed = done.stdout.replace("\r", "") + done.stderr * bool(done.returncode)
        shown = {real: shown for shown, real in ports.items()}
        return _ADDRESS.sub(lambda real: shown.get(real[0], real[0]), printed)

    def _start(self, file: str) -> None:
        for name, program in self._jobs:
            if name == file:
                program.ends()  # else its port would not be free
        self._jobs.append((file, self._example.start(file)))


def _environment() -> dict[str, str]:
    """Give that of a pipe, as wide as it likes; programs of this place come first."""
    inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return inherited | {"PATH": path}


def is_as_shown(shown: str, printed: str) -> bool:
    """Whether *printed* is what the page shows, where ``...`` may be anything."""
    kinds = ELLIPSIS | NORMALIZE_WHITESPACE
    return OutputChecker().check_output(shown, printed, kinds)
