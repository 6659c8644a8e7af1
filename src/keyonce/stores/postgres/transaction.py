# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How a caller's transaction begins and ends, by its driver's own means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from keyonce.stores.django import DjangoTransaction, is_of_django, wrapper_of
from keyonce.stores.postgres.callers import AsyncpgCaller
from keyonce.stores.postgres.joined import async_caller_of, caller_of
from keyonce.stores.postgres.translate import sqlstate_of
from keyonce.stores.transaction import (
    AsyncCoreTransaction,
    CoreTransaction,
    ended_inside,
)

if TYPE_CHECKING:
    from keyonce.core.protocols import AsyncTransaction, Transaction

# Serialization failure, deadlock, a lock not got in time: the server goes on with
# nothing but a rollback.
REPEATS: Final = {"40001", "40P01", "55P03"}


def repeats(error: BaseException) -> bool:
    """Whether all is undone, and may do when it is run again."""
    return sqlstate_of(error) in REPEATS


class PsycopgTransaction:
    """That of a ``psycopg.Connection``, with its settings of isolation."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Begin and end on *connection*."""
        self._connection = connection
        self._block: Any = None

    def is_open(self) -> bool:
        return _is_open(self._connection)

    def begin(self) -> None:
        self._block = self._connection.transaction()
        self._block.__enter__()

    def commit(self) -> None:
        if not self.is_open():
            raise ended_inside()
        self._block.__exit__(None, None, None)

    def rollback(self) -> None:
        undone = psycopg.Rollback()
        self._block.__exit__(psycopg.Rollback, undone, None)

    def repeats(self, error: BaseException) -> bool:
        return repeats(error)


class AsyncPsycopgTransaction:
    """That of a ``psycopg.AsyncConnection``."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Begin and end on *connection*."""
        self._connection = connection
        self._block: Any = None

    async def is_open(self) -> bool:
        return _is_open(self._connection)

    async def begin(self) -> None:
        self._block = self._connection.transaction()
        await self._block.__aenter__()

    async def commit(self) -> None:
        if not await self.is_open():
            raise ended_inside()
        await self._block.__aexit__(None, None, None)

    async def rollback(self) -> None:
        undone = psycopg.Rollback()
        await self._block.__aexit__(psycopg.Rollback, undone, None)

    def repeats(self, error: BaseException) -> bool:
        return repeats(error)


class AsyncpgTransaction:
    """That of an ``asyncpg.Connection``, or of what a pool of asyncpg lends."""

    def __init__(self, connection: Any) -> None:
        """Begin and end on *connection*."""
        self._connection = connection
        self._block: Any = None

    async def is_open(self) -> bool:
        return bool(self._connection.is_in_transaction())

    async def begin(self) -> None:
        self._block = self._connection.transaction()
        await self._block.start()

    async def commit(self) -> None:
        if not await self.is_open():
            raise ended_inside()
        await self._block.commit()

    async def rollback(self) -> None:
        await self._block.rollback()

    def repeats(self, error: BaseException) -> bool:
        return repeats(error)


def transaction_of(given: Any) -> Transaction:
    """Say how one on *given* begins and ends.

    Raises:
        ConfigurationError: it is no connection that can be joined.
    """
    caller_of(given)
    if is_of_django(given):
        return DjangoTransaction(wrapper_of(given, "postgresql"), repeats)
    if isinstance(given, psycopg.Connection):
        return PsycopgTransaction(given)
    return CoreTransaction(given, repeats)


def async_transaction_of(given: Any) -> AsyncTransaction:
    """Say how one on *given* begins and ends.

    Raises:
        ConfigurationError: it is no connection that can be joined.
    """
    if isinstance(given, psycopg.AsyncConnection):
        return AsyncPsycopgTransaction(given)
    if isinstance(async_caller_of(given), AsyncpgCaller):
        return AsyncpgTransaction(given)
    return AsyncCoreTransaction(given, repeats)


def _is_open(
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any],
) -> bool:
    return connection.info.transaction_status is not TransactionStatus.IDLE
