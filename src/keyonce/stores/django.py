# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A connection of Django's: what is beneath it, and its ``atomic`` as a transaction.

Django is imported by whoever has such a connection, and never from here before that.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from keyonce.core.errors import ConfigurationError, NotCommitted
from keyonce.core.protocols import AfterCommit

if TYPE_CHECKING:
    from collections.abc import Callable


def is_of_django(given: object) -> bool:
    """Whether it is ``django.db.connection`` or one of ``django.db.connections``."""
    return _is_proxy(given) or _is(
        given, "django.db.backends.base.base", "BaseDatabaseWrapper"
    )


def wrapper_of(given: Any, vendor: str) -> Any:
    """Give the connection itself, connected, for who may use it.

    Raises:
        ConfigurationError: it leads to another kind of database than *vendor*.
    """
    if _is_proxy(given):
        given = sys.modules["django.db"].connections[given.alias]
    if given.vendor != vendor:
        raise ConfigurationError(
            f"Django's connection {given.alias!r} leads to {given.vendor}, and the "
            f"store is in {vendor}: effect and record would not commit together. Give "
            "the store and your effects the same database."
        )
    given.validate_thread_sharing()
    given.ensure_connection()
    return given


def driver_of(given: Any, vendor: str) -> Any:
    """Give the driver's connection, on which a statement may be carried out.

    Raises:
        ConfigurationError: it leads to another kind of database than *vendor*.
    """
    wrapper = wrapper_of(given, vendor)
    wrapper.validate_no_broken_transaction()
    return wrapper.connection


class DjangoTransaction:
    """An ``atomic`` block; where Django does not commit by itself, one is open."""

    def __init__(
        self,
        wrapper: Any,
        repeats: Callable[[BaseException], bool],
        begun: Callable[[Any], None] | None = None,
    ) -> None:
        """Begin and end on *wrapper*; *begun* is called when a transaction is new."""
        self._wrapper = wrapper
        self._repeats = repeats
        self._begun = begun
        self._block: Any = None
        self._committed = False

    def is_open(self) -> bool:
        wrapper = self._wrapper
        return bool(wrapper.in_atomic_block or not wrapper.get_autocommit())

    def begin(self) -> None:
        from django.db.transaction import (  # noqa: PLC0415 - optional
            atomic,
            on_commit,
        )

        using = self._wrapper.alias
        block: Any = atomic(using=using)
        block.__enter__()
        self._block = block
        on_commit(self._note_commit, using=using)
        try:
            if self._begun is not None:
                self._begun(self._wrapper)
        except BaseException:
            self.rollback()
            raise

    def _note_commit(self) -> None:
        self._committed = True

    def commit(self) -> None:
        """Leave the block, which commits and calls what waits for that.

        Raises:
            AfterCommit: one of those raised.
            NotCommitted: Django has rolled back, and does not say so.
        """
        block, self._block = self._block, None
        try:
            block.__exit__(None, None, None)
        except Exception as error:
            if self._committed:
                raise AfterCommit from error
            raise
        if not self._committed:
            raise NotCommitted(
                "Django has rolled the atomic block back: it was marked for that by an "
                "error inside that was caught, or the connection was closed. Catch "
                "errors of the database outside of the block, or around an atomic() "
                "of their own."
            )

    def rollback(self) -> None:
        block, self._block = self._block, None
        if block is not None:
            undone = _Undone()
            block.__exit__(_Undone, undone, None)

    def repeats(self, error: BaseException) -> bool:
        return self._repeats(beneath(error))


class _Undone(Exception):
    """What the block is told to roll back for."""


def beneath(error: BaseException) -> BaseException:
    """Give the driver's error where Django has wrapped it."""
    ours = type(error).__module__ == "django.db.utils"
    return error.__cause__ if ours and error.__cause__ is not None else error


def _is_proxy(given: object) -> bool:
    return _is(given, "django.utils.connection", "ConnectionProxy")


def _is(thing: object, module: str, name: str) -> bool:
    home = sys.modules.get(module)
    return home is not None and isinstance(thing, getattr(home, name))
