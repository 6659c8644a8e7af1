# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How a caller's transaction begins and ends, where SQLAlchemy is between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyonce.core.protocols import EndedInside

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def ended_inside() -> EndedInside:
    """Say that there is nothing to commit any more, where something was begun."""
    return EndedInside(
        "The transaction was ended inside its block, and its outcome was not "
        "committed: nobody can say what else was, and the work is not run again. Leave "
        "commit and rollback to the block; raise where all is to be undone."
    )


def session_of(given: Any) -> Any:
    """Give the session behind a scoped one, which knows of no transaction itself."""
    return given.registry() if hasattr(given, "registry") else given


def _root(given: Any) -> Any:
    """Give the transaction that a ``Connection`` or ``Session`` is in.

    Those for event loops have the other kind behind them, and may give each time
    another handle on the same. None where it is closed.
    """
    for behind in ("sync_session", "sync_connection"):
        given = getattr(given, behind, given)
    return None if given is None else given.get_transaction()


class CoreTransaction:
    """That of a ``Connection`` or ``Session``, which have the same words for it."""

    def __init__(
        self,
        given: Any,
        repeats: Callable[[BaseException], bool],
        begun: Callable[[Any], None] | None = None,
    ) -> None:
        """Begin and end on *given*; *begun* is called when a transaction is new."""
        self._given = session_of(given)
        self._mine: Any = None
        self._begun = begun
        self.repeats = repeats

    def is_open(self) -> bool:
        return bool(self._given.in_transaction())

    def begin(self) -> None:
        self._given.begin()
        self._mine = _root(self._given)
        if self._begun is not None:
            self._begun(self._given)

    def commit(self) -> None:
        if _root(self._given) is not self._mine:
            raise ended_inside()
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
        self._given = session_of(given)
        self._mine: Any = None
        self._begun = begun
        self.repeats = repeats

    async def is_open(self) -> bool:
        return bool(self._given.in_transaction())

    async def begin(self) -> None:
        await self._given.begin()
        self._mine = _root(self._given)
        if self._begun is not None:
            await self._begun(self._given)

    async def commit(self) -> None:
        if _root(self._given) is not self._mine:
            raise ended_inside()
        await self._given.commit()

    async def rollback(self) -> None:
        await self._given.rollback()
