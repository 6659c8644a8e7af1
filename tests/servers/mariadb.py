# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A MariaDB server of our own: in a temporary folder, on a free port of loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql

from tests.servers.programs import found, free_port

PROGRAMS = ("mariadbd", "mariadb-install-db")
MIB = 1024 * 1024
SETTINGS = (
    "--bind-address=127.0.0.1",
    "--skip-networking=0",
    "--skip-name-resolve",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=64M",
    "--performance-schema=OFF",
    "--max-connections=300",
)


def find(program):
    """Where *program* is; skip the test, or fail it, where it is not."""
    return found(program, brought_by="apt-get install mariadb-server")


class MariaDB:
    """One server. It is ended by its process id, at the latest by `stop`."""

    def __init__(self, folder: Path, *settings: str, packet: int = 64 * MIB) -> None:
        """Make an empty data folder in *folder*; start it by `start`."""
        self._program, install = map(find, PROGRAMS)
        self._data = folder / "data"
        self._log = folder / "log"
        self._socket = folder / "sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.settings = [*SETTINGS, f"--max-allowed-packet={packet}", *settings]
        self.port = free_port()
        self._user = ["--user=root"] if os.geteuid() == 0 else []
        made = subprocess.run(
            [
                install,
                "--no-defaults",
                f"--datadir={self._data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
                *self._user,
            ],
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert made.returncode == 0, made.stderr + made.stdout

    def start(self, *settings: str) -> None:
        """Start it on its own port and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    "--no-defaults",
                    f"--datadir={self._data}",
                    f"--port={self.port}",
                    f"--socket={self._socket}",
                    f"--pid-file={self._data / 'pid'}",
                    *self.settings,
                    *settings,
                    *self._user,
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power switch would, but for the disk."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None

    def pause(self) -> None:
        """Let it hang: connections stay open and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End a pause."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def restart(self, *settings: str) -> None:
        """Stop it and start it again, with *settings* added."""
        self.stop()
        self.start(*settings)

    def connect(self, database: str | None = None, **options: Any):
        """Open a connection of the administrator."""
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "root",
            "database": database,
            "autocommit": True,
            "connect_timeout": 5,
            "ssl_disabled": True,
            **options,
        }
        return pymysql.connect(**settings)

    def locking(self, database: str, query: str):
        """Hold the row locks of *query* until the connection rolls back."""
        connection = self.connect(database)
        with connection.cursor() as cursor:
            # Else the gaps between the rows are locked as well.
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            connection.begin()
            cursor.execute(query)
        return connection

    def ask(self, query: str, database: str | None = None):
        """Carry out *query* as the administrator and give its rows."""
        with closing(self.connect(database)) as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            return cursor.fetchall()

    def database(self, name: str) -> str:
        """Make an empty database and give its URL."""
        self.ask(f"DROP DATABASE IF EXISTS {name}")
        self.ask(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str, user: str = "root") -> str:
        """Give the URL of a database."""
        return f"mysql://{user}@127.0.0.1:{self.port}/{name}"
