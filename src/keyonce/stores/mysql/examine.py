# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What `doctor` looks at in a MySQL or MariaDB server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from keyonce.core.model import Finding
from keyonce.stores.mysql.rows import clock_of, seconds
from keyonce.stores.statement import Procedure, Row, Statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Settings = Mapping[str, str]

MIB: Final = 1024 * 1024
EARLIEST: Final = 1_767_225_600.0  # 2026-01-01: before that the clock is not set
TOLERANCE: Final = 5.0
OLDEST: Final = {"MariaDB": (10, 5), "MySQL": (8, 0)}
ON: Final = ("ON", "1")

_NUMBERS: Final = re.compile(r"(\d+)\.(\d+)")
_FORCED: Final = "5.5.5-"  # MariaDB says this before its version to old clients


def examine(largest: int) -> Procedure[Sequence[Finding]]:
    """Look at the settings that the promises rest on."""
    rows = yield Statement("settings")
    settings = {_word(name).lower(): _word(value) for name, value in rows}
    session = yield Statement("session")
    engines = yield Statement("engines")
    clock = yield Statement("newest_claim")
    return [
        _version(settings["version"]),
        _flush(settings),
        _binary_log(settings),
        _doublewrite(settings),
        _writable(settings),
        _packet(settings, largest),
        _engine(engines),
        _mode(session[0]),
        _clock(clock[0]),
        *_cluster(settings),
    ]


def _word(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _version(version: str) -> Finding:
    name = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    numbers = _NUMBERS.search(version.removeprefix(_FORCED))
    if numbers is None or tuple(map(int, numbers.groups())) < OLDEST[name]:
        oldest = ".".join(map(str, OLDEST[name]))
        detail = f"{name} {version}, which keyonce was never tried with."
        mend = f"Use {name} {oldest} or later."
        return Finding("warning", "version", detail, mend)
    return Finding("ok", "version", f"{name} {version}")


def _flush(settings: Settings) -> Finding:
    subject = "durability"
    value = settings.get("innodb_flush_log_at_trx_commit", "unknown")
    if value == "1":
        return Finding("ok", subject, "innodb_flush_log_at_trx_commit is 1")
    detail = (
        f"innodb_flush_log_at_trx_commit is {value}: a power loss takes back what was "
        "acknowledged, and the work may run again."
    )
    return Finding("error", subject, detail, "Set it to 1.")


def _binary_log(settings: Settings) -> Finding:
    subject = "binary log"
    if settings.get("log_bin") not in ON:
        return Finding("ok", subject, "off")
    if settings.get("binlog_format") == "STATEMENT":
        detail = "binlog_format is STATEMENT: InnoDB refuses writes in READ COMMITTED."
        return Finding("error", subject, detail, "Set it to ROW or MIXED.")
    flushes = settings.get("sync_binlog", "unknown")
    if flushes != "1":
        detail = (
            f"sync_binlog is {flushes}: after a power loss the server rolls back what "
            "is not in the log, also what was acknowledged."
        )
        return Finding("error", subject, detail, "Set it to 1.")
    return Finding("ok", subject, "on, sync_binlog is 1")


def _doublewrite(settings: Settings) -> Finding:
    value = settings.get("innodb_doublewrite", "unknown")
    if value in ("OFF", "0"):
        detail = "innodb_doublewrite is off: a power loss may tear a page."
        mend = "Turn it on, unless the file system writes whole pages."
        return Finding("warning", "doublewrite", detail, mend)
    return Finding("ok", "doublewrite", value)


def _writable(settings: Settings) -> Finding:
    names = ("read_only", "super_read_only", "innodb_read_only")
    found = [name for name in names if settings.get(name) in ON]
    if found:
        detail = f"{found[0]} is on: this is a replica, or writes are held up."
        return Finding("error", "role", detail, "Name the primary in the URL.")
    return Finding("ok", "role", "takes writes")


def _packet(settings: Settings, largest: int) -> Finding:
    packet = int(settings["max_allowed_packet"])
    detail = f"max_allowed_packet {packet // MIB} MiB: outcomes up to "
    detail += f"{largest / MIB:.1f} MiB are kept"
    if packet // 2 < largest:
        detail = f"max_allowed_packet is now {packet // MIB} MiB, less than at start."
        return Finding("error", "packet", detail, "Start the program again.")
    return Finding("ok", "packet", detail)


def _engine(rows: list[Row]) -> Finding:
    other = [_word(name) for name, engine in rows if _word(engine) != "InnoDB"]
    if other:
        detail = f"{other[0]} is not kept by InnoDB: nothing it says is atomic."
        mend = f"ALTER TABLE {other[0]} ENGINE = InnoDB."
        return Finding("error", "engine", detail, mend)
    return Finding("ok", "engine", "InnoDB")


def _mode(row: Row) -> Finding:
    mode, database = map(_word, row)
    return Finding("ok", "session", f"database {database}, sql_mode {mode or 'empty'}")


def _clock(row: Row) -> Finding:
    now = clock_of(row)
    ahead = 0.0 if row[1] is None else seconds(row[1]) - now
    mend = "Set the clock of the server, and keep it by NTP."
    if now < EARLIEST:
        return Finding("error", "clock", f"The server's clock says {now:.0f}.", mend)
    if ahead > TOLERANCE:
        detail = f"The newest claim is {ahead:.0f} s ahead: the clock went back."
        return Finding("warning", "clock", detail, mend)
    return Finding("ok", "clock", "not behind the newest claim")


def _cluster(settings: Settings) -> Iterator[Finding]:
    if settings.get("wsrep_on") in ON:
        detail = "This is a node of a Galera cluster, on which keyonce was never tried."
        mend = "Let every process write to the same node."
        yield Finding("warning", "cluster", detail, mend)
