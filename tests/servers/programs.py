# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Where the programs of servers are, and what a missing one means."""

from __future__ import annotations

import os
import shutil
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest


def found(name, elsewhere=()):
    """Give the program *name* from PATH, or the first of *elsewhere* that is there.

    Without it the test is skipped, or fails where KEYONCE_REQUIRE_SERVICES is 1.
    """
    program = shutil.which(name)
    places = [program] if program else [str(p) for p in elsewhere if Path(p).exists()]
    if places:
        return places[0]
    message = f"There is no {name} on PATH."
    if os.environ.get("KEYONCE_REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)


def free_port():
    """Give a port of the loopback that nobody listens on now."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(truth, what, *, within=15.0):
    """Wait until *truth()*; it may raise OSError before it is ready to be asked."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if truth():
                return
        except OSError:
            pass
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen within {within:g} s.")
