# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What `doctor` looks at in an SQLite file."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import TYPE_CHECKING, Final

from keyonce.core.model import Finding
from keyonce.stores.sqlite.filesystem import file_system_of, read_mounts
from keyonce.stores.sqlite.opening import version_of
from keyonce.stores.sqlite.translate import translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keyonce.stores.sqlite.database import Database

MIB: Final = 1024 * 1024
LITTLE_ROOM: Final = 256 * MIB
LARGE_LOG: Final = 256 * MIB
EARLIEST: Final = 1_767_225_600.0  # 2026-01-01: before that the clock is not set
TOLERANCE: Final = 5.0
IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})

_NEWEST: Final = (
    "SELECT created_at + claimed_after FROM keyonce_records ORDER BY id DESC LIMIT 1"
)


def examine(database: Database) -> Sequence[Finding]:
    """Look at the settings that the promises rest on."""
    with translated():
        connection = database.connections.borrow()
        try:
            inside = list(_inside(database, connection))
        finally:
            database.connections.give_back(connection)
    return [*inside, _file_system(database), _room(database), _log(database)]


def _inside(database: Database, connection: sqlite3.Connection) -> Iterator[Finding]:
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    yield Finding("ok", "journal mode", f"{mode}, synchronous {synchronous} (FULL)")
    version = version_of(connection)
    yield Finding("ok", "version", f"schema {version}, SQLite {sqlite3.sqlite_version}")
    structure = _structure(connection)
    yield structure
    if structure.level == "ok":  # a damaged file has no word on the time
        yield _clock(database, connection)


def _structure(connection: sqlite3.Connection) -> Finding:
    """Look for one fault only: a whole check of a large file takes minutes."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    if pages > LITTLE_ROOM // 4096:
        return Finding("ok", "structure", f"{pages} pages; too large to check here")
    try:
        fault = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        fault = str(error)
    if fault == "ok":
        return Finding("ok", "structure", f"{pages} pages, no fault found")
    mend = "Stop the program and restore the file from a backup."
    return Finding("error", "structure", fault, mend)


def _clock(database: Database, connection: sqlite3.Connection) -> Finding:
    now = database.now()
    newest = connection.execute(_NEWEST).fetchone() or (0,)
    ahead = newest[0] / 1000 - now
    mend = "Set the clock of this machine, and keep it by NTP."
    if now < EARLIEST:
        return Finding("error", "clock", f"The clock says {time.ctime(now)}.", mend)
    if ahead > TOLERANCE:
        detail = f"The newest record is {ahead:.0f} s ahead: the clock went back."
        return Finding("warning", "clock", detail, mend)
    return Finding("ok", "clock", "not behind the newest record")


def _file_system(database: Database) -> Finding:
    table = read_mounts(database.mount_table)
    kind = None if table is None else file_system_of(database.path, table)
    if kind is None:
        detail = "unchecked: this platform has no mount table to read"
        mend = "Make sure that the file is on a local disk."
        return Finding("warning", "file system", detail, mend)
    if kind in IN_MEMORY:
        detail = f"{kind} is memory: a restart of the machine loses every record"
        mend = "Put the file on a local disk; until then nothing outlives a restart."
        return Finding("warning", "file system", detail, mend)
    return Finding("ok", "file system", kind)


def _room(database: Database) -> Finding:
    if not hasattr(os, "statvfs"):
        return Finding("warning", "free disk", "unchecked on this platform")
    disk = os.statvfs(database.path.parent)
    free = disk.f_bavail * disk.f_frsize
    detail = f"{free // MIB} MiB"
    if free < LITTLE_ROOM:
        mend = "Make room: with a full disk guarded work is refused."
        return Finding("warning", "free disk", detail, mend)
    return Finding("ok", "free disk", detail)


def _log(database: Database) -> Finding:
    size = database.upkeep.log_size()
    detail = f"{size // MIB} MiB not yet in the file"
    if size > LARGE_LOG:
        mend = "Find the program that keeps a read transaction open, and end it."
        return Finding("warning", "write-ahead log", detail, mend)
    return Finding("ok", "write-ahead log", detail)
