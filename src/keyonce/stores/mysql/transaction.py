# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How a caller's transaction begins and ends, by its driver's own means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyonce.stores.django import DjangoTransaction, is_of_django, wrapper_of
from keyonce.stores.mysql.handed_in import is_of_sqlalchemy
from keyonce.stores.mysql.joining import IN_TRANSACTION
from keyonce.stores.mysql.seats import seat_of
from keyonce.stores.mysql.translate import CONFLICTS, LOCK_WAIT, LOCKED, code_of
from keyonce.stores.transaction import CoreTransaction, ended_inside

if TYPE_CHECKING:
    from keyonce.core.protocols import Transaction


class DriverTransaction:
    """That of a connection of PyMySQL."""

    def __init__(self, connection: Any) -> None:
        """Begin and end on *connection*."""
        self._connection = connection

    def is_open(self) -> bool:
        return bool(self._connection.server_status & IN_TRANSACTION)

    def begin(self) -> None:
        self._connection.begin()

    def commit(self) -> None:
        if not self.is_open():
            raise ended_inside()
        self._connection.commit()

    def rollback(self) -> None:
        self._connection.rollback()

    def repeats(self, error: BaseException) -> bool:
        return repeats(error)


def transaction_of(given: Any) -> Transaction:
    """Say how one on *given* begins and ends.

    Raises:
        ConfigurationError: it is no connection that can be joined.
    """
    seat_of(given)
    if is_of_django(given):
        return DjangoTransaction(wrapper_of(given, "mysql"), repeats)
    if is_of_sqlalchemy(given):
        return CoreTransaction(given, repeats)
    return DriverTransaction(given)


def repeats(error: BaseException) -> bool:
    """Whether all may do when it is undone and run again.

    After a conflict the server has undone it. After a lock that was not got in time it
    has undone the one statement, and whoever began the transaction undoes the rest.
    """
    return code_of(error) in {*CONFLICTS, LOCK_WAIT, LOCKED}
