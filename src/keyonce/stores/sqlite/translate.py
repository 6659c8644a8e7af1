# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What SQLite raises, in keyonce's words."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from types import TracebackType

BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

_MEANING: Final = {
    sqlite3.SQLITE_BUSY: (
        "its write lock is held for too long, by another program or by an open "
        "transaction of this one, perhaps around this very call"
    ),
    sqlite3.SQLITE_LOCKED: "another connection holds a lock for too long",
    sqlite3.SQLITE_FULL: "the disk is full; make room and try again",
    sqlite3.SQLITE_READONLY: (
        "it cannot be written; let this user write the file and its directory"
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "it cannot be opened; let this user read and write the file and its directory"
    ),
    sqlite3.SQLITE_IOERR: "reading or writing it failed; look at the disk",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore it from a backup",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database; name another one",
    sqlite3.SQLITE_TOOBIG: "the outcome is larger than SQLite keeps in one row",
}


def code_of(error: BaseException | None) -> int:
    """Give the primary result code behind *error*, or 0."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: BaseException | None) -> bool:
    """Whether trying again soon may help."""
    return code_of(error) in BUSY


def is_outdated(error: BaseException | None) -> bool:
    """Whether the transaction has read what has changed since, and cannot write."""
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY_SNAPSHOT


class Translated:
    """Turns SQLite's errors into StoreUnavailable; see `translated`."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Do nothing yet."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Translate *error*, if it is SQLite's."""
        if isinstance(error, sqlite3.Error):
            raise unavailable(error) from error
        if isinstance(error, UnicodeEncodeError):
            message = "A key, operation or scope is no text that UTF-8 can hold."
            raise StoreError(message) from error


_TRANSLATED: Final = Translated()


def translated() -> Translated:
    """Translate what SQLite raises inside the `with` block."""
    return _TRANSLATED


def unavailable(error: sqlite3.Error) -> StoreUnavailable:
    """Say what *error* means and what to do."""
    meaning = _MEANING.get(code_of(error), "SQLite failed")
    return StoreUnavailable(f"The SQLite file did not answer: {meaning} ({error}).")
