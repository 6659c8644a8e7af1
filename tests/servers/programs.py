# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Where the programs of servers are, and what a missing one means."""

from __future__ import annotations

import os
import shutil
import socket
import time
from contextlib import closing, suppress
from itertools import count, islice
from pathlib import Path
from typing import NoReturn

import pytest

# Where servers are that an ordinary user has not on PATH.
PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/opt/homebrew/bin")


def found(name, elsewhere=(), *, brought_by):
    """Give the program *name* from PATH, or the first of *elsewhere* that is there.

    Without it the test is skipped, or fails: see `missing`.
    """
    program = shutil.which(name, path=os.pathsep.join((os.environ["PATH"], *PLACES)))
    places = [program] if program else [str(p) for p in elsewhere if Path(p).exists()]
    return places[0] if places else missing(name, brought_by=brought_by)


def missing(name, *, brought_by) -> NoReturn:
    """Skip this test, or fail it where KEYONCE_REQUIRE_SERVICES is 1."""
    message = f"{name} is not there: {brought_by!r} brings it."
    if os.environ.get("KEYONCE_REQUIRE_SERVICES") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


# Below what the system gives to outgoing connections, a part for each worker: nobody
# takes a port between the moment it is found free and the start of its server.
LOWEST, PART = 20_000, 3_000
_PORTS = count(os.getpid() * 7)


def free_port():
    """Give a port of the loopback that nobody listens on now."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for number in islice(_PORTS, PART):
        port = LOWEST + worker % 4 * PART + number % PART
        with closing(socket.socket()) as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("No port is free.")


def wait_until(truth, what, *, within=40.0):
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
