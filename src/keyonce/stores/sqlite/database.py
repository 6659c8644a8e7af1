# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One SQLite file as a process sees it: transactions, reads, upkeep."""

from __future__ import annotations

import os
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import unquote

from keyonce.core.errors import ConfigurationError
from keyonce.core.flow import run
from keyonce.stores.schema import migrations_of, outlook, require_ready
from keyonce.stores.sqlite.connections import Connections
from keyonce.stores.sqlite.opening import (
    applied_to,
    check_place,
    connect,
    make_private,
    migrate,
    require_file,
)
from keyonce.stores.sqlite.patience import patiently
from keyonce.stores.sqlite.translate import is_busy, translated
from keyonce.stores.sqlite.upkeep import Upkeep
from keyonce.stores.statement import Procedure, Row, Statement, queries_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from keyonce.core.model import Identity

R = TypeVar("R")

PACKAGE: Final = "keyonce.stores.sqlite"


class Database:
    """The file behind a store.

    A job gets *now*, read from the clock once it has the write lock, and gives
    the procedure to run in that transaction.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float],
        store_timeout: timedelta,
        purge_every: timedelta | None,
        mount_table: Path,
        migrates: bool,
    ) -> None:
        """Check the place, bring the schema up to date, and leave nothing open.

        Without *migrates* nothing is made or changed.

        Raises:
            ConfigurationError: the file cannot be used, and what to change.
            StoreUnavailable: it did not answer in time.
        """
        self.path = path_of(path)
        self.mount_table = mount_table
        self._clock = clock
        self.store_timeout = store_timeout.total_seconds()
        self._queries = queries_of(PACKAGE)
        check_place(self.path, mount_table)
        if migrates:
            make_private(self.path)
        else:
            require_file(self.path)
        with translated():
            self._open(migrates=migrates)
        self.connections = Connections(self._connect)
        self._find = self._queries["find_record"]
        self.upkeep = Upkeep(self, purge_every)

    def now(self) -> float:
        """Read the store's clock, in whole milliseconds as they are stored."""
        return round(self._clock() * 1000) / 1000

    def deadline(self) -> float:
        """Say until when, on the monotonic clock, a call that begins now may try."""
        return time.monotonic() + self.store_timeout

    def glance(self, identity: Identity) -> list[Row] | None:
        """Read one record without ever waiting; None when that cannot be done."""
        connection = self.connections.take()
        if connection is None:
            return None
        with translated():
            try:
                return connection.execute(self._find, identity).fetchall()
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                return None
            finally:
                self.connections.give_back(connection)

    def find(self, identity: Identity) -> list[Row]:
        """Read one record, waiting only for a file that is being set up."""
        rows = self.glance(identity)
        if rows is not None:
            return rows
        with translated():
            connection = self.connections.borrow()
            find = partial(connection.execute, self._find, identity)
            try:
                return patiently(lambda: find().fetchall(), self.deadline())
            finally:
                self.connections.give_back(connection)

    def read(self, procedure: Procedure[R]) -> R:
        """Run *procedure* on one snapshot."""
        with translated():
            connection = self.connections.borrow()
            try:
                connection.execute("BEGIN")
                return run(procedure, partial(self.perform, connection))
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self.connections.give_back(connection)

    def write(self, job: Callable[[float], Procedure[R]]) -> R:
        """Run one job in a transaction of its own; it is on disk when this returns."""
        deadline = self.deadline()
        connections = self.connections.mine()
        with translated():
            connection = connections.hold(deadline)
            try:
                answer = self.transact(
                    connection, deadline, lambda: self.carry_out(connection, job)
                )
            finally:
                connections.let_go()
        self.upkeep.count(1)
        return answer

    def transact(
        self, connection: sqlite3.Connection, deadline: float, step: Callable[[], R]
    ) -> R:
        """Do *step* in a transaction of its own."""
        self.begin(connection, deadline)
        try:
            answer = step()
            connection.execute("COMMIT")
        except BaseException:
            self.connections.undo()
            raise
        return answer

    def begin(self, connection: sqlite3.Connection, deadline: float) -> None:
        """Take the write lock before anything is read (F-60)."""
        patiently(partial(connection.execute, "BEGIN IMMEDIATE"), deadline)

    def carry_out(
        self, connection: sqlite3.Connection, job: Callable[[float], Procedure[R]]
    ) -> R:
        """Run one job inside a transaction that has begun."""
        return run(job(self.now()), partial(self.perform, connection))

    def perform(
        self, connection: sqlite3.Connection, statement: Statement
    ) -> list[Row]:
        """Carry out one statement of a procedure."""
        query, values = statement
        return connection.execute(self._queries[query], values).fetchall()

    def query(self, name: str) -> str:
        """Give the SQL of that name."""
        return self._queries[name]

    def close(self) -> None:
        """End the upkeep and close every connection."""
        self.upkeep.close()
        self.connections.close()

    def _connect(self, reads_only: bool) -> sqlite3.Connection:  # noqa: FBT001
        return connect(self.path, self.deadline(), reads_only=reads_only)

    def _open(self, *, migrates: bool) -> None:
        connection = connect(self.path, self.deadline(), reads_only=False)
        migrations, place = migrations_of(PACKAGE), repr(str(self.path))
        try:
            if migrates:
                migrate(connection, migrations, self.deadline(), place)
            else:
                require_ready(outlook(applied_to(connection), migrations, place))
        finally:
            connection.close()


def path_of(place: str | os.PathLike[str]) -> Path:
    """Give the absolute path of a path or a `sqlite:///` URL.

    Raises:
        ConfigurationError: it names no file.
    """
    text = os.fspath(place)
    if text.startswith("sqlite:"):
        text = _path_in(text)
    if text in ("", ":memory:"):
        raise ConfigurationError(
            "SQLite needs a file: 'sqlite:///keyonce.db' for one in the working "
            "directory, 'sqlite:////var/lib/keyonce.db' for an absolute path. "
            "For records in memory say 'memory://'."
        )
    return Path(text).resolve()


def _path_in(url: str) -> str:
    rest = url.removeprefix("sqlite:///")
    if rest == url and url not in ("sqlite:", "sqlite://"):
        raise ConfigurationError(
            f"{url!r} is no SQLite URL: write three slashes before a relative path "
            "('sqlite:///keyonce.db') and four before an absolute one."
        )
    if "?" in rest or "#" in rest:
        raise ConfigurationError(
            f"{url!r} has options: an SQLite URL takes none. "
            "A '?' or '#' of the file's name is written '%3F' or '%23'."
        )
    return "" if rest == url else unquote(rest)
