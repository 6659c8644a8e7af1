# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Other processes: programs in text, started for real, talked to by lines."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from textwrap import dedent

PRELUDE = """
import os, sys, time
from datetime import timedelta
from keyonce.core.errors import *
from keyonce.core.model import *
from keyonce.core.states import Status
from keyonce.stores.memory import MemoryStore
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.testing.store_scenarios.cases import *

def say(*words):
    # One write, so that the lines of several threads and processes stay whole.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def hear():
    return sys.stdin.readline().strip()
"""


def _command(program, args):
    text = PRELUDE + dedent(program)
    # A fork beside threads is what some of these programs are about.
    quiet = ("-W", "ignore::DeprecationWarning")
    return [sys.executable, *quiet, "-c", text, *map(str, args)]


def run(program, *args, timeout=60):
    """Run *program* to its end and give what it said."""
    ended = subprocess.run(
        _command(program, args),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split("\n")[:-1]


@contextmanager
def started(program, *args):
    """Start *program* and end it with the block, at the latest."""
    with subprocess.Popen(
        _command(program, args),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def tell(process, line=""):
    """Say *line* to *process*."""
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def said(process):
    """Wait for the next line of *process*."""
    return process.stdout.readline().strip()
