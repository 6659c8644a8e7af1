# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The joined verbs, for threads and for loops, over any connection that will do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from keyonce.core.errors import ConfigurationError
from keyonce.core.flow import arun, run
from keyonce.stores.django import driver_of, is_of_django
from keyonce.stores.postgres import joining
from keyonce.stores.postgres.callers import (
    AsyncpgCaller,
    AsyncPsycopgCaller,
    PsycopgCaller,
)
from keyonce.stores.postgres.steps import Beside, Script
from keyonce.stores.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from keyonce.core.model import Claim, Claimed, Completion, Record
    from keyonce.stores.postgres.home import Home
    from keyonce.stores.postgres.sqlalchemy_callers import AsyncCoreCaller, CoreCaller
    from keyonce.stores.postgres.steps import Step, Steps
    from keyonce.stores.statement import Row

R = TypeVar("R")


class PostgresJoined:
    """Two verbs inside the open transaction of a caller's connection."""

    def __init__(
        self,
        connection: Any,
        home: Home,
        beside: Callable[[Statement], list[Row]],
        clock: Callable[[], float] | None,
    ) -> None:
        """Join *connection*; *beside* asks the store's own.

        Raises:
            ConfigurationError: it is no connection that can be joined.
        """
        self._caller = caller_of(connection)
        self._home = home
        self._beside = beside
        self._clock = clock

    def claim(self, command: Claim, *, lock_timeout: float) -> Claimed | None:
        """Claim as part of the transaction; None: another one holds the key."""
        return self._join(joining.claim(command, lock_timeout, self._at()))

    def complete(self, command: Completion) -> Record | None:
        """Store the outcome as part of the transaction."""
        return self._join(joining.complete(command, self._at()))

    def _at(self) -> float | None:
        return None if self._clock is None else self._clock()

    def _join(self, steps: Steps[R]) -> R:
        connection = self._caller.check()
        if not self._home.knows(connection):
            run(joining.check_place(self._home), self._perform)
            self._home.note(connection)
        return run(steps, self._perform)

    def _perform(self, step: Step) -> list[Row]:
        if isinstance(step, Beside):
            return self._beside(step.statement)
        if isinstance(step, Statement):
            return self._caller.rows(self._home.queries[step.query], step.values)
        if isinstance(step, Script):
            self._caller.run(step.sql)
        return []


class AsyncPostgresJoined:
    """PostgresJoined for event loops."""

    def __init__(
        self,
        connection: Any,
        home: Home,
        beside: Callable[[Statement], Awaitable[list[Row]]],
        clock: Callable[[], float] | None,
    ) -> None:
        """Join *connection*; *beside* asks the store's own.

        Raises:
            ConfigurationError: it is no connection that can be joined.
        """
        self._caller = async_caller_of(connection)
        self._home = home
        self._beside = beside
        self._clock = clock

    async def claim(self, command: Claim, *, lock_timeout: float) -> Claimed | None:
        """Claim as part of the transaction; None: another one holds the key."""
        return await self._join(joining.claim(command, lock_timeout, self._at()))

    async def complete(self, command: Completion) -> Record | None:
        """Store the outcome as part of the transaction."""
        return await self._join(joining.complete(command, self._at()))

    def _at(self) -> float | None:
        return None if self._clock is None else self._clock()

    async def _join(self, steps: Steps[R]) -> R:
        connection = await self._caller.check()
        if not self._home.knows(connection):
            await arun(joining.check_place(self._home), self._perform)
            self._home.note(connection)
        return await arun(steps, self._perform)

    async def _perform(self, step: Step) -> list[Row]:
        if isinstance(step, Beside):
            return await self._beside(step.statement)
        if isinstance(step, Statement):
            return await self._caller.rows(self._home.queries[step.query], step.values)
        if isinstance(step, Script):
            await self._caller.run(step.sql)
        return []


def caller_of(connection: Any) -> PsycopgCaller | CoreCaller:
    """Know what kind of connection this is.

    Raises:
        ConfigurationError: one that this store cannot join.
    """
    if is_of_django(connection):
        connection = driver_of(connection, "postgresql")
    if isinstance(connection, psycopg.Connection):
        return PsycopgCaller(connection)
    if _is(connection, "sqlalchemy.engine", "Connection") or _is(
        connection, "sqlalchemy.orm", "Session", "scoped_session"
    ):
        from keyonce.stores.postgres.sqlalchemy_callers import (  # noqa: PLC0415 - optional
            CoreCaller,
        )

        return CoreCaller(connection)
    raise _refused(
        connection, "PostgresStore", "psycopg.Connection, or a Connection or Session"
    )


def async_caller_of(
    connection: Any,
) -> AsyncPsycopgCaller | AsyncpgCaller | AsyncCoreCaller:
    """Know what kind of connection this is.

    Raises:
        ConfigurationError: one that this store cannot join.
    """
    if isinstance(connection, psycopg.AsyncConnection):
        return AsyncPsycopgCaller(connection)
    if _is(connection, "asyncpg", "Connection") or _is(
        connection, "asyncpg.pool", "PoolConnectionProxy"
    ):
        return AsyncpgCaller(connection)
    names = ("AsyncConnection", "AsyncSession", "async_scoped_session")
    if _is(connection, "sqlalchemy.ext.asyncio", *names):
        from keyonce.stores.postgres.sqlalchemy_callers import (  # noqa: PLC0415 - optional
            AsyncCoreCaller,
        )

        return AsyncCoreCaller(connection)
    raise _refused(
        connection,
        "AsyncPostgresStore",
        "psycopg.AsyncConnection, an asyncpg.Connection, or an AsyncConnection or "
        "AsyncSession",
    )


def _is(thing: object, module: str, *names: str) -> bool:
    """Whether *thing* is of such a class, without importing what nobody uses."""
    home = sys.modules.get(module)
    return home is not None and isinstance(
        thing, tuple(getattr(home, name) for name in names)
    )


def _refused(connection: object, store: str, kinds: str) -> ConfigurationError:
    kind = type(connection)
    return ConfigurationError(
        f"A {store} cannot join a {kind.__module__}.{kind.__qualname__}: give it a "
        f"{kinds} of SQLAlchemy."
    )
