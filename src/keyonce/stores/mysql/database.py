# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One MySQL database as threads see it: procedures, tried until they are through."""

from __future__ import annotations

import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor

from keyonce.core.errors import IdempotencyError
from keyonce.core.flow import run
from keyonce.stores.mysql.connections import (
    Borrowed,
    Source,
    commits_itself,
    hang_up,
    takes_many,
)
from keyonce.stores.mysql.opening import Opened, open_database
from keyonce.stores.mysql.rows import microseconds
from keyonce.stores.mysql.script import Together, bound, scripts, session, singly
from keyonce.stores.mysql.translate import (
    CONFLICTS,
    code_of,
    is_lost,
    may_repeat,
    unavailable,
)
from keyonce.stores.statement import Row, Statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.stores.mysql.address import Address
    from keyonce.stores.mysql.procedures import Place
    from keyonce.stores.mysql.script import Word, Words

R = TypeVar("R")

PAUSE: Final = 0.01
FAILURES: Final = (pymysql.MySQLError, OSError, EOFError, UnicodeEncodeError)


def connect(
    address: Address, store_timeout: float, *, answer_within: float | None = None
) -> Any:
    """Open a connection that depends on no setting of the server.

    A statement may take *answer_within*, which is *store_timeout* unless given.
    """
    connection = pymysql.connect(
        **address.arguments(),
        autocommit=True,
        connect_timeout=store_timeout,
        read_timeout=answer_within or store_timeout,
        write_timeout=store_timeout,
        client_flag=CLIENT.MULTI_STATEMENTS,
        ssl_disabled=address.tls is None,  # else it tries, and trusts anybody
    )
    try:
        _told(connection, session(store_timeout))
    except BaseException:
        hang_up(connection)
        raise
    return connection


def open_address(
    address: Address, store_timeout: float, *, migrates: bool = True
) -> Opened:
    """Bring the schema at *address* up to date, over connections of our own.

    Raises:
        ConfigurationError: the database cannot be used, and what to change.
        StoreUnavailable: the server did not answer in time.
    """

    def connecting(answer_within: float | None) -> Any:
        return connect(address, store_timeout, answer_within=answer_within)

    return open_database(connecting, address.place, store_timeout, migrates=migrates)


def _told(connection: Any, script: str) -> None:
    with connection.cursor(Cursor) as cursor:
        cursor.execute(script)
        while cursor.nextset():
            pass


class Database:
    """Runs procedures on connections from *source*, within *store_timeout*."""

    def __init__(
        self,
        source: Source,
        *,
        home: Place,
        clock: Callable[[], float] | None,
        store_timeout: float,
    ) -> None:
        """Speak by the server's clock, or in a test by *clock*.

        *home* says which database of which server this is.
        """
        self.source = source
        self._clock = clock
        self._store_timeout = store_timeout
        self._scripts = scripts(bound_clock=clock is not None)
        self.home = home

    def run(self, make: Callable[[], Words[R]], *, whole: bool = False) -> R:
        """Run the procedure that *make* gives, again after a conflict.

        With *whole* it is one transaction; else each of its statements is.

        Raises:
            StoreUnavailable: the server did not answer in time.
        """
        deadline = time.monotonic() + self._store_timeout
        tries = 1
        while True:
            borrowed = self._take(deadline)
            try:
                answer = self._attempt(borrowed.connection, make, whole=whole)
            except FAILURES as error:
                self._put_away(borrowed, error)
                again = may_repeat(error, tries, fresh=borrowed.fresh, whole=whole)
                if not again or time.monotonic() >= deadline:
                    raise unavailable(error) from error
            except IdempotencyError:
                self.source.give_back(borrowed)
                raise
            except BaseException:
                self.source.drop(borrowed)  # an answer may still be under way
                raise
            else:
                self.source.give_back(borrowed)
                return answer
            time.sleep(PAUSE * tries * random.random())
            tries += 1

    def _take(self, deadline: float) -> Borrowed:
        try:
            return self.source.take(deadline)
        except FAILURES as error:
            raise unavailable(error) from error

    def _attempt(
        self, connection: Any, make: Callable[[], Words[R]], *, whole: bool
    ) -> R:
        perform = partial(self.perform, connection)
        if not whole:
            return run(make(), perform)
        perform = partial(self.perform, connection, inside=True)
        perform(Statement("begin"))
        try:
            answer = run(make(), perform)
        except IdempotencyError:
            perform(Statement("roll_back"))
            raise
        perform(Statement("commit"))
        return answer

    def _put_away(self, borrowed: Borrowed, error: BaseException) -> None:
        """Roll back what a lock wait leaves half done (1205); keep what still works."""
        if isinstance(error, UnicodeEncodeError):
            self.source.give_back(borrowed)
            return
        if is_lost(error) or code_of(error) not in {*CONFLICTS, 1205}:
            self.source.drop(borrowed)
            return
        try:
            borrowed.connection.rollback()
        except FAILURES:
            self.source.drop(borrowed)
        else:
            self.source.give_back(borrowed)

    def perform(
        self, connection: Any, word: Word, *, inside: bool = False
    ) -> list[Row]:
        """Carry out one word of a procedure and commit it, unless *inside*."""
        rows: list[Row] = []
        with connection.cursor(Cursor) as cursor:
            if isinstance(word, Statement):
                rows = self._one(cursor, word, many=takes_many(connection))
            elif takes_many(connection):
                rows = _rows(cursor, self._as_one(cursor, word), None)
            else:
                for statement in word.statements:
                    rows = self._one(cursor, statement, many=False)
        if not inside and not commits_itself(connection):
            connection.commit()
        return rows

    def _one(self, cursor: Cursor, statement: Statement, *, many: bool) -> list[Row]:
        script = self._scripts[statement.query]
        values = bound(statement.values, self.now())
        rows: list[Row] = []
        for piece in [script] if many else singly(script):
            rows = _rows(cursor, piece, values)
        return rows

    def _as_one(self, cursor: Cursor, word: Together) -> str:
        now = self.now()
        return ";\n".join(
            cursor.mogrify(self._scripts[query], bound(values, now))
            for query, values in word.statements
        )

    def script(self, name: str) -> str:
        """Give the query of that name as it is sent."""
        return self._scripts[name]

    def now(self) -> int | None:
        """Give the time where a test sets it; the server knows it else."""
        return None if self._clock is None else microseconds(self._clock())

    def close(self) -> None:
        """Close the connections of our own."""
        self.source.close()


def _rows(cursor: Cursor, piece: str, values: dict[str, Any] | None) -> list[Row]:
    cursor.execute(piece, values)
    rows = cursor.fetchall()
    while cursor.nextset():
        rows = cursor.fetchall()
    return list(rows)
