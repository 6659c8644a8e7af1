# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How connections of our own are made, and what is found out about each.

Behind a pooler in transaction mode a session belongs to nobody: nothing is prepared
or set in it. A pooler shows by the process that it names: not the one that answers.
"""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from keyonce.core.errors import ConfigurationError
from keyonce.stores.postgres.patience import limited

if TYPE_CHECKING:
    from psycopg.abc import PQGen

RECONNECT_FOR: Final = 1.0
PREPARE_AFTER: Final = 2

_EXAMPLE: Final = "'postgresql://user:password@host:5432/database'"
_NAMING: Final = ("PGDATABASE", "PGSERVICE")
_KNOWN: Final = {
    *(each.keyword.decode() for each in psycopg.pq.Conninfo.get_defaults()),
    "ssl",  # libpq reads ssl=true as JDBC means it
}

SHOWN_PID: Final = "SELECT pg_backend_pid()"
# A plan made while the table was small must not outlive that: whatever the planner
# believes, every verb finds its record by the index.
_OURS_ALONE: Final = (
    "SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan"
)
# The verbs are safe at every level; but at a stricter one those that meet at one record
# undo each other, so that many who would take it over try again and again.
_ISOLATION: Final = "default_transaction_isolation"
_LENIENT: Final = "; SET default_transaction_isolation = 'read committed'"


class TimedConnection(psycopg.Connection[Any]):
    """A connection that waits for the server until *deadline* and no longer."""

    deadline: float | None = None

    def wait(self, gen: PQGen[Any], *args: Any, **kwargs: Any) -> Any:
        """Wait like psycopg, until the deadline."""
        if self.deadline is not None:
            gen = limited(gen, self.deadline)
        return super().wait(gen, *args, **kwargs)


class AsyncTimedConnection(psycopg.AsyncConnection[Any]):
    """TimedConnection for event loops."""

    deadline: float | None = None

    async def wait(self, gen: PQGen[Any], *args: Any, **kwargs: Any) -> Any:
        """Wait like psycopg, until the deadline."""
        if self.deadline is not None:
            gen = limited(gen, self.deadline)
        return await super().wait(gen, *args, **kwargs)


def url_of(server: Any) -> str:
    """Give what *server* connects by: a URL, or what a pool was made with.

    Raises:
        ConfigurationError: it makes that up anew each time.
    """
    if isinstance(server, str):
        return server
    if is_engine(server):
        from keyonce.stores.postgres.engines import (  # noqa: PLC0415 - optional
            url_of_engine,
        )

        return url_of_engine(server)
    if not hasattr(server, "conninfo"):
        url: object = getattr(server, "url", None)
        if not isinstance(url, str):
            raise ConfigurationError(
                f"A {type(server).__name__} is no PostgreSQL server: hand in a URL, a "
                "pool of psycopg, or an engine of SQLAlchemy; for event loops also an "
                "AsyncpgPool."
            )
        return url
    if callable(server.conninfo) or callable(server.kwargs):
        raise ConfigurationError(
            "keyonce needs a connection of its own beside this pool, and cannot call "
            "what it connects by. Make the pool with a text and a dictionary."
        )
    known = {each.keyword.decode() for each in psycopg.pq.Conninfo.get_defaults()}
    given = server.kwargs or {}
    ours = {name: value for name, value in given.items() if name in known}
    return make_conninfo(server.conninfo or "", **ours)


def is_engine(server: object) -> bool:
    """Whether *server* is an engine of SQLAlchemy, without importing it for that."""
    return hasattr(server, "dialect")


def check_url(url: str) -> None:
    """Refuse a URL that libpq cannot read, without telling what is in it.

    Without a database libpq would take one called as the user, where some other
    program may keep its tables: it is named, here or in libpq's environment.

    Raises:
        ConfigurationError: and how one looks.
    """
    _check_options(url)
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        raise ConfigurationError(
            f"This is no PostgreSQL URL: write {_EXAMPLE}, with '%40' for an '@' "
            "in the password."
        ) from None
    named = parts.get("dbname") or parts.get("service")
    if "://" in url and not (named or any(os.environ.get(name) for name in _NAMING)):
        raise ConfigurationError(
            f"The PostgreSQL URL names no database: write {_EXAMPLE}, or set "
            "PGDATABASE."
        )


def check_size(pool_size: int) -> None:
    """Refuse a pool without connections.

    Raises:
        ConfigurationError: and what to say.
    """
    if pool_size < 1:
        raise ConfigurationError(f"pool_size is {pool_size}: give at least 1.")


def _check_options(url: str) -> None:
    query = url.partition("?")[2]
    if "://" not in url or "@" in query:  # then it may be the rest of a password
        return
    names = {pair.partition("=")[0] for pair in query.split("&") if pair}
    wrong = sorted(name for name in names - _KNOWN if name.isidentifier())
    if wrong:
        ours = " Did you mean 'keyonce_partitions'?" if "partition" in wrong[0] else ""
        raise ConfigurationError(
            f"The PostgreSQL URL has the option {wrong[0]!r}, which neither libpq nor "
            f"keyonce knows.{ours} Look at how it is written."
        )


def connect(url: str, seconds: float, **settings: Any) -> TimedConnection:
    """Open one connection."""
    connection = TimedConnection.connect(url, **_options(seconds), **settings)
    connection.deadline = time.monotonic() + seconds
    return connection


def pool_of(url: str, size: int, seconds: float) -> ConnectionPool[TimedConnection]:
    """Make a pool that opens connections when they are needed."""

    def configure(connection: TimedConnection) -> None:
        connection.deadline = time.monotonic() + seconds
        answer = connection.execute(SHOWN_PID).fetchone()
        if is_direct(connection, answer):
            connection.execute(_ours_alone(connection))
            connection.prepare_threshold = PREPARE_AFTER

    return ConnectionPool(
        url,
        connection_class=TimedConnection,
        kwargs=_options(seconds),
        configure=configure,
        open=False,
        **_pool_options(size),
    )


def async_pool_of(
    url: str, size: int, seconds: float
) -> AsyncConnectionPool[AsyncTimedConnection]:
    """Make a pool that opens connections when they are needed, for one loop."""

    async def configure(connection: AsyncTimedConnection) -> None:
        connection.deadline = time.monotonic() + seconds
        cursor = await connection.execute(SHOWN_PID)
        if is_direct(connection, await cursor.fetchone()):
            await connection.execute(_ours_alone(connection))
            connection.prepare_threshold = PREPARE_AFTER

    return AsyncConnectionPool(
        url,
        connection_class=AsyncTimedConnection,
        kwargs=_options(seconds),
        configure=configure,
        open=False,
        **_pool_options(size),
    )


def _ours_alone(connection: TimedConnection | AsyncTimedConnection) -> LiteralString:
    """Give the settings for a session of our own; a level in the URL stays."""
    if _ISOLATION in connection.info.options:
        return _OURS_ALONE
    return _OURS_ALONE + _LENIENT


def is_direct(connection: TimedConnection | AsyncTimedConnection, answer: Any) -> bool:
    """Whether the process that answered is the one that *connection* leads to."""
    return bool(answer) and answer[0] == connection.info.backend_pid


def _options(seconds: float) -> dict[str, Any]:
    return {
        "autocommit": True,
        "prepare_threshold": None,
        "connect_timeout": max(2, math.ceil(seconds)),
        "fallback_application_name": "keyonce",
    }


def _pool_options(size: int) -> dict[str, Any]:
    return {
        "min_size": 0,
        "max_size": size,
        "name": f"keyonce-{os.getpid()}",
        "num_workers": 2,
        "reconnect_timeout": RECONNECT_FOR,
    }
