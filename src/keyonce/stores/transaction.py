# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How a caller's transaction begins and ends, where SQLAlchemy is between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class CoreTransaction:
    """That of a ``Connection`` or ``Session``, which have the same words for it."""

    def __init__(
        self,
        given: Any,
        repeats: Callable[[BaseException], bool],
        begun: Callable[[Any], None] | None = None,
    ) -> None:
        """Begin and end on *given*; *begun* is called when a transaction is new."""
        self._given = given
        self._begun = begun
        self.repeats = repeats

    def is_open(self) -> bool:
        return bool(self._given.in_transaction())

    def begin(self) -> None:
        self._given.begin()
        if self._begun is not None:
            self._begun(self._given)

    def commit(self) -> None:
        self._given.commit()

    def rollback(self) -> None:
        self._given.rollback()


class AsyncCoreTransaction:
    """That of an ``AsyncConnection`` or ``AsyncSession``."""

    def __init__(
        self,
        given: Any,
        repeats: Callable[[BaseException], bool],
        begun: Callable[[Any], Awaitable[None]] | None = None,
    ) -> None:
        """Begin and end on *given*; *begun* is called when a transaction is new."""
        self._given = given
        self._begun = begun
        self.repeats = repeats

    async def is_open(self) -> bool:
        return bool(self._given.in_transaction())

    async def begin(self) -> None:
        # A scoped session's ``begin`` gives what has to be awaited as well.
        await self._given.begin()
        if self._begun is not None:
            await self._begun(self._given)

    async def commit(self) -> None:
        await self._given.commit()

    async def rollback(self) -> None:
        await self._given.rollback()
