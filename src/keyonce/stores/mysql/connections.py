# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The open connections of one process: a few of our own, or those of its host."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import pymysql
from pymysql.constants import CLIENT, SERVER_STATUS

from keyonce.core.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

# In others a backslash can be the second half of a character, which breaks quoting.
CHARSETS: Final = {"utf8mb4", "utf8mb3", "utf8", "latin1", "ascii"}


class Borrowed(NamedTuple):
    """A connection for one caller; *fresh* when it was opened for it."""

    connection: Any
    fresh: bool


class Source(Protocol):
    """Where connections come from and go back to."""

    def take(self, deadline: float) -> Borrowed:
        """Give a connection, waiting until *deadline* (monotonic) for a free one."""

    def give_back(self, borrowed: Borrowed) -> None:
        """Take back a connection that works."""

    def drop(self, borrowed: Borrowed) -> None:
        """Take back a connection that may be broken."""

    def close(self) -> None:
        """Give up what is idle; what is in use closes when it comes back."""


class OwnConnections:
    """At most *size* connections, opened when needed and used again.

    A child of a fork opens its own.
    """

    def __init__(self, opener: Callable[[], Any], size: int) -> None:
        """Open none yet.

        Raises:
            ConfigurationError: there would never be one.
        """
        if size < 1:
            raise ConfigurationError(f"pool_size is {size}: give at least 1.")
        self._opener = opener
        self._size = size
        self._closed = False
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._slots = threading.Semaphore(self._size)
        self._idle: list[Any] = []

    def take(self, deadline: float) -> Borrowed:
        """Give an idle connection or a new one."""
        if self._pid != os.getpid():
            self._reset()  # what was inherited is dropped, which says nothing to it
        if self._closed:
            raise StoreUnavailable("This MySQL store is closed.")
        if not self._slots.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise StoreUnavailable(
                f"All {self._size} connections to MySQL are in use for too long."
            )
        try:
            return Borrowed(self._idle.pop(), fresh=False)
        except IndexError:
            return self._open()

    def _open(self) -> Borrowed:
        try:
            return Borrowed(self._opener(), fresh=True)
        except BaseException:
            self._slots.release()
            raise

    def give_back(self, borrowed: Borrowed) -> None:
        """Keep the connection for the next caller."""
        self._idle.append(borrowed.connection)
        self._slots.release()
        if self._closed:
            self._close_idle()

    def drop(self, borrowed: Borrowed) -> None:
        """Close the connection, and the idle ones, which may have died with it."""
        hang_up(borrowed.connection)
        self._slots.release()
        self._close_idle()

    def close(self) -> None:
        """Close what is idle, for good."""
        self._closed = True
        if self._pid == os.getpid():
            self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                hang_up(self._idle.pop())


class LentConnections:
    """Connections of a pool that somebody else has made and will close."""

    def __init__(self, lend: Callable[[], Any]) -> None:
        """Borrow by calling *lend*; `close()` of a connection gives it back."""
        self._lend = lend

    def take(self, deadline: float) -> Borrowed:  # noqa: ARG002 - its own patience
        """Borrow a connection and see that it is fit.

        Raises:
            StoreUnavailable: there is none.
        """
        try:
            connection = self._lend()
        except Exception as exc:
            message = f"The pool of MySQL connections gave none: {exc}."
            raise StoreUnavailable(message) from exc
        borrowed = Borrowed(connection, fresh=False)
        try:
            check_lent(connection)
        except ConfigurationError:
            self.give_back(borrowed)
            raise
        return borrowed

    def give_back(self, borrowed: Borrowed) -> None:
        """Give the connection back."""
        borrowed.connection.close()

    def drop(self, borrowed: Borrowed) -> None:
        """Give the connection back as broken, where its pool knows of that."""
        give_up = getattr(borrowed.connection, "invalidate", None)
        if give_up is not None:
            give_up()
        with suppress(pymysql.MySQLError, OSError):
            borrowed.connection.close()

    def close(self) -> None:
        """Do nothing: its owner closes the pool."""


def check_lent(connection: Any) -> None:
    """See that what is quoted here is read there as it was meant.

    Raises:
        ConfigurationError: the connection's settings make quoting unsafe.
    """
    check_charset(connection)
    status = getattr(connection, "server_status", 0)
    if status & SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES:
        raise ConfigurationError(
            "A connection of the pool has NO_BACKSLASH_ESCAPES in its sql_mode, "
            "in which quoting is not safe. Take that mode away."
        )


def check_charset(connection: Any) -> None:
    """See that no byte of a quoted text means something else to *connection*.

    Raises:
        ConfigurationError: one may.
    """
    charset = getattr(connection, "character_set_name", lambda: "utf8mb4")()
    if charset not in CHARSETS:
        raise ConfigurationError(
            f"A connection that was handed in speaks {charset!r}, in which quoting is "
            "not safe. Open it with charset='utf8mb4'."
        )


def takes_many(connection: Any) -> bool:
    """Whether *connection* takes several statements in one round trip."""
    flags = getattr(connection, "client_flag", 0)
    return bool(flags & CLIENT.MULTI_STATEMENTS)


def commits_itself(connection: Any) -> bool:
    """Whether each statement on *connection* commits as it ends."""
    return bool(getattr(connection, "get_autocommit", lambda: False)())


def hang_up(connection: Any) -> None:
    """Close *connection*, whatever state it is in."""
    with suppress(pymysql.MySQLError, OSError):
        connection.close()
