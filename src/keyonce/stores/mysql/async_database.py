# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One MySQL database as an event loop sees it: the twin of `database`."""

from __future__ import annotations

import asyncio
import inspect
import random
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from asyncmy.cursors import Cursor
from asyncmy.errors import MySQLError
from asyncmy.pool import Pool

from keyonce.core.errors import IdempotencyError, StoreUnavailable
from keyonce.core.flow import arun
from keyonce.stores.mysql.connections import check_lent, commits_itself
from keyonce.stores.mysql.rows import microseconds
from keyonce.stores.mysql.script import Together, bound, scripts, session
from keyonce.stores.mysql.translate import (
    CONFLICTS,
    LOCK_WAIT,
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
RECYCLE: Final = 3600
FAILURES: Final = (MySQLError, OSError, EOFError, UnicodeEncodeError)


class AsyncDatabase:
    """Runs procedures on connections of its own pool, or of one that is lent."""

    def __init__(
        self,
        address: Address,
        *,
        pool: Any,
        home: Place,
        pool_size: int,
        clock: Callable[[], float] | None,
        store_timeout: float,
    ) -> None:
        """Open nothing yet. *home* says which database of which server this is."""
        self._address = address
        self._lent = pool
        self._pool_size = pool_size
        self._clock = clock
        self._store_timeout = store_timeout
        self._scripts = scripts(bound_clock=clock is not None)
        self.home = home
        self._own: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def run(self, make: Callable[[], Words[R]], *, whole: bool = False) -> R:
        """Run the procedure that *make* gives, again after a conflict.

        With *whole* it is one transaction; else each of its statements is.

        Raises:
            StoreUnavailable: the server did not answer in time.
        """
        try:
            async with asyncio.timeout(self._store_timeout):
                return await self._until_done(make, whole=whole)
        except TimeoutError as error:
            raise StoreUnavailable(
                f"The MySQL server did not answer in {self._store_timeout:g} s."
            ) from error

    async def _until_done(self, make: Callable[[], Words[R]], *, whole: bool) -> R:
        tries = 1
        while True:
            try:
                return await self._once(make, whole=whole)
            except TimeoutError:
                raise
            except FAILURES as error:
                if not may_repeat(error, tries, fresh=False, whole=whole):
                    raise unavailable(error) from error
            await asyncio.sleep(PAUSE * tries * random.random())
            tries += 1

    async def _once(self, make: Callable[[], Words[R]], *, whole: bool) -> R:
        pool = self._pool()
        connection = await pool.acquire()
        try:
            if self._lent is not None:
                check_lent(connection)
            return await self._attempt(connection, make, whole=whole)
        except (IdempotencyError, UnicodeEncodeError):
            raise
        except BaseException as error:
            await self._mend(connection, error)
            raise
        finally:
            given_back = pool.release(connection)
            if self._lent is not None and inspect.isawaitable(given_back):
                await given_back

    async def _attempt(
        self, connection: Any, make: Callable[[], Words[R]], *, whole: bool
    ) -> R:
        if not whole:
            return await arun(make(), partial(self.perform, connection))
        perform = partial(self.perform, connection, inside=True)
        await perform(Statement("begin"))
        try:
            answer = await arun(make(), perform)
        except IdempotencyError:
            await perform(Statement("roll_back"))
            raise
        await perform(Statement("commit"))
        return answer

    async def _mend(self, connection: Any, error: BaseException) -> None:
        """Roll back what a lock wait leaves half done (1205); else hang up."""
        works = not is_lost(error) and code_of(error) in {*CONFLICTS, LOCK_WAIT}
        if works:
            with suppress(*FAILURES):
                await connection.rollback()
                return
        connection.close()  # an answer may still be under way

    async def perform(
        self, connection: Any, word: Word, *, inside: bool = False
    ) -> list[Row]:
        """Carry out one word of a procedure and commit it, unless *inside*."""
        statements = word.statements if isinstance(word, Together) else (word,)
        now = self.now()
        async with connection.cursor(cursor=Cursor) as cursor:
            script = ";\n".join(
                cursor.mogrify(self._scripts[query], bound(values, now))
                for query, values in statements
            )
            await cursor.execute(script)
            rows = await cursor.fetchall()
            while await cursor.nextset():
                rows = await cursor.fetchall()
        if not inside and not commits_itself(connection):
            await connection.commit()
        return list(rows or ())

    def script(self, name: str) -> str:
        """Give the query of that name as it is sent."""
        return self._scripts[name]

    def now(self) -> int | None:
        """Give the time where a test sets it; the server knows it else."""
        return None if self._clock is None else microseconds(self._clock())

    def _pool(self) -> Any:
        if self._closed:
            raise StoreUnavailable("This MySQL store is closed.")
        if self._lent is not None:
            return self._lent
        loop = asyncio.get_running_loop()
        if self._own is None or self._loop is not loop:
            self._own, self._loop = self._new_pool(), loop
        return self._own

    def _new_pool(self) -> Any:
        return Pool(
            0,
            self._pool_size,
            RECYCLE,
            **self._address.arguments(),
            autocommit=True,
            connect_timeout=self._store_timeout,
            init_command=session(self._store_timeout),
        )

    async def close(self) -> None:
        """Close the connections of our own; what is in use is cut off."""
        self._closed = True
        own, self._own = self._own, None
        if own is not None and self._loop is asyncio.get_running_loop():
            own.terminate()
            await own.wait_closed()
