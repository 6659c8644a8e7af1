# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The SQLite store for threads."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keyonce.stores.sqlite.database import Database
from keyonce.stores.sqlite.filesystem import MOUNT_TABLE
from keyonce.stores.sqlite.verbs import Verbs

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

STORE_TIMEOUT: Final = timedelta(seconds=5)
PURGE_EVERY: Final = timedelta(seconds=60)


class SQLiteStore(Verbs):
    """Records in a file on a local disk, shared by the processes of one machine.

    What a verb has answered is on disk (WAL, synchronous FULL). *path* is a path
    or a ``sqlite:///`` URL; a new file is readable by this user only. A verb
    tries for *store_timeout* while other programs hold the file. A thread purges
    about every *purge_every*; None leaves that to other processes. *clock* gives
    the time in seconds since the epoch; *mount_table* is where the kernel says
    what is mounted. Without *migrate* a file that is missing or of an older version
    is refused, and nothing is changed.

    Raises:
        ConfigurationError: the file cannot keep the promises; what to change.
        StoreUnavailable: it did not answer.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time.time,
        store_timeout: timedelta = STORE_TIMEOUT,
        purge_every: timedelta | None = PURGE_EVERY,
        mount_table: Path = MOUNT_TABLE,
        migrate: bool = True,
    ) -> None:
        """Make the file or bring it up to date; nothing stays open until used."""
        database = Database(
            path,
            clock=clock,
            store_timeout=store_timeout,
            purge_every=purge_every,
            mount_table=mount_table,
            migrates=migrate,
        )
        super().__init__(database)

    def close(self) -> None:
        """Close every connection and end the background thread."""
        self._database.close()
