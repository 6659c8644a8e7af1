# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How a caller's transaction begins and ends: always with the write lock (F-60)."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

from keyonce.stores.django import DjangoTransaction, is_of_django, wrapper_of
from keyonce.stores.sqlite.callers import (
    begin_beneath,
    connection_of,
    impatient,
    is_core,
    is_session,
    patience_of,
)
from keyonce.stores.sqlite.joining import LONGEST
from keyonce.stores.sqlite.translate import is_busy
from keyonce.stores.transaction import CoreTransaction

if TYPE_CHECKING:
    import sqlite3

    from keyonce.core.protocols import Transaction


class SQLiteTransaction:
    """That of a ``sqlite3.Connection``, however it is set to begin by itself."""

    def __init__(self, given: sqlite3.Connection) -> None:
        """Begin and end on *given*."""
        self._connection = given

    def is_open(self) -> bool:
        return self._connection.in_transaction

    def begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def repeats(self, error: BaseException) -> bool:
        return repeats(error)


class AsyncSQLiteTransaction:
    """SQLiteTransaction for event loops, which go on while the file is busy.

    All else is done at once in the loop's own thread, a commit to the disk as well.
    """

    def __init__(self, given: Any) -> None:
        """Begin and end on *given*."""
        self._connection = connection_of(given)
        self._transaction = transaction_of(given)

    async def is_open(self) -> bool:
        return self._transaction.is_open()

    async def begin(self) -> None:
        until = time.monotonic() + patience_of(self._connection)
        while True:
            try:
                with impatient(self._connection):
                    self._transaction.begin()
            except Exception as error:
                self._transaction.rollback()
                if not repeats(error) or time.monotonic() >= until:
                    raise
            else:
                return
            await asyncio.sleep(LONGEST * random.uniform(0.1, 1.0))

    async def commit(self) -> None:
        self._transaction.commit()

    async def rollback(self) -> None:
        self._transaction.rollback()

    def repeats(self, error: BaseException) -> bool:
        return self._transaction.repeats(error)


def transaction_of(given: Any) -> Transaction:
    """Say how one on *given* begins and ends.

    Raises:
        ConfigurationError: it is no connection that an SQLite store can join.
    """
    if is_of_django(given):
        return DjangoTransaction(wrapper_of(given, "sqlite"), repeats, _lock_in_django)
    if is_core(given) or is_session(given):
        return CoreTransaction(given, repeats, begin_beneath)
    return SQLiteTransaction(connection_of(given))


def repeats(error: BaseException) -> bool:
    """Whether the file was busy, so that the same may do when it is run again."""
    return is_busy(error) or is_busy(getattr(error, "orig", None))


def _lock_in_django(wrapper: Any) -> None:
    """Begin anew what Django has begun without the lock, as it does by default."""
    mode = getattr(wrapper, "transaction_mode", None)
    if mode not in {"IMMEDIATE", "EXCLUSIVE"}:
        wrapper.connection.execute("ROLLBACK")
        wrapper.connection.execute("BEGIN IMMEDIATE")
