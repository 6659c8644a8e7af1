# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A pgbouncer of one's own, in transaction mode, before a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.servers.postgres import PASSWORD, PATIENCE, USER, as_another
from tests.servers.programs import found, free_port

SETTINGS = """
[databases]
* = host=127.0.0.1 port={server} user={user} password='{password}'

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
"""


def program():
    """Where pgbouncer is; skip the test, or fail it, where it is not."""
    return found("pgbouncer", brought_by="apt-get install pgbouncer")


class PgBouncer:
    """Hands out a few sessions of *server*, each for one transaction."""

    def __init__(self, server):
        command = program()
        prefix, user = as_another()
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="keyonce-pgbouncer-"))
        settings = self.folder / "pgbouncer.ini"
        settings.write_text(
            SETTINGS.format(
                server=server.port, port=self.port, user=USER, password=PASSWORD
            )
        )
        for each in (self.folder, settings):
            if user is not None:
                os.chown(each, user.pw_uid, user.pw_gid)
        self._process = subprocess.Popen(
            [*prefix, command, settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.02)
        raise RuntimeError("pgbouncer did not start")

    def url(self, database):
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def close(self):
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)
