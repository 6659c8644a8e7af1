# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Real servers, each a process of its own that listens where the test says."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from keyonce.testing.integration_scenarios.messages import Request
from keyonce.testing.integration_scenarios.sockets import SocketCaller

ROOT = Path(__file__).parents[2]
ENDS_WITHIN = 20
BACKLOG = 256

UVICORN = ("-m", "uvicorn", "--fd", "{fd}", "--log-level", "warning")
HYPERCORN = ("-m", "hypercorn", "--bind", "fd://{fd}")
GUNICORN = (
    *("-m", "gunicorn", "--bind", "fd://{fd}", "--worker-class", "gthread"),
    *("--threads", "100", "--log-level", "warning"),
)
WERKZEUG = ("tests/e2e/wsgi_werkzeug.py", "{fd}")


@contextmanager
def serving(command, log, *, environment=None):
    """Run Python with *command*, which serves on the socket ``{fd}``; give a caller."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        # Each connection inherits it; else a small answer waits for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fd = listener.fileno()
        arguments = [part.format(fd=fd) for part in command]
        with log.open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                pass_fds=[fd],
                cwd=ROOT,
                stdout=said,
                stderr=said,
                env=environment,
            )
        try:
            caller = SocketCaller(*listener.getsockname())
            listener.close()
            up = caller.start(Request("GET", "/-/runs/none")).reply()
            assert 200 == up.status, log.read_text()
            yield caller
        finally:
            process.terminate()
            process.wait(ENDS_WITHIN)
