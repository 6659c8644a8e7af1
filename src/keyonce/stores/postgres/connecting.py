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
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from keyonce.core.errors import ConfigurationError
from keyonce.stores.postgres.patience import limited

if TYPE_CHECKING:
    from psycopg.abc import PQGen

RECONNECT_FOR: Final = 1.0
PREPARE_AFTER: Final = 2

_SHOWN_PID: Final = "SELECT pg_backend_pid()"
# A plan made while the table was small must not outlive that: whatever the planner
# believes, every verb finds its record by the index.
_OURS_ALONE: Final = (
    "SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan"
)


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
    if not hasattr(server, "conninfo"):
        url: str = server.url
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


def check_url(url: str) -> None:
    """Refuse a URL that libpq cannot read, without telling what is in it.

    Raises:
        ConfigurationError: and how one looks.
    """
    try:
        conninfo_to_dict(url)
    except psycopg.Error:
        raise ConfigurationError(
            "This is no PostgreSQL URL: write "
            "'postgresql://user:password@host:5432/database', with '%40' for an '@' "
            "in the password."
        ) from None


def connect(url: str, seconds: float) -> TimedConnection:
    """Open one connection."""
    connection = TimedConnection.connect(url, **_options(seconds))
    connection.deadline = time.monotonic() + seconds
    return connection


def pool_of(url: str, size: int, seconds: float) -> ConnectionPool[TimedConnection]:
    """Make a pool that opens connections when they are needed."""

    def configure(connection: TimedConnection) -> None:
        connection.deadline = time.monotonic() + seconds
        answer = connection.execute(_SHOWN_PID).fetchone()
        if _is_direct(connection, answer):
            connection.execute(_OURS_ALONE)
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
        cursor = await connection.execute(_SHOWN_PID)
        if _is_direct(connection, await cursor.fetchone()):
            await connection.execute(_OURS_ALONE)
            connection.prepare_threshold = PREPARE_AFTER

    return AsyncConnectionPool(
        url,
        connection_class=AsyncTimedConnection,
        kwargs=_options(seconds),
        configure=configure,
        open=False,
        **_pool_options(size),
    )


def _is_direct(connection: TimedConnection | AsyncTimedConnection, answer: Any) -> bool:
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
