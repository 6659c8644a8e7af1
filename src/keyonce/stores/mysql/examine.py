# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What `doctor` looks at in a MySQL or MariaDB server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from keyonce.core.model import Finding
from keyonce.stores.durability import weaker
from keyonce.stores.mysql.rows import clock_of, seconds, word
from keyonce.stores.mysql.translate import GRANTS
from keyonce.stores.statement import Procedure, Row, Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from keyonce.core.errors import StoreError
    from keyonce.stores.durability import Durability

    Settings = Mapping[str, str]

MIB: Final = 1024 * 1024
EARLIEST: Final = 1_767_225_600.0  # 2026-01-01: before that the clock is not set
TOLERANCE: Final = 5.0
OLDEST: Final = {"MariaDB": (10, 5), "MySQL": (8, 0)}
ON: Final = ("ON", "1")
FOLLOWING: Final = ("slave_running", "slaves_running", "replica_running")

_NUMBERS: Final = re.compile(r"(\d+)\.(\d+)")
_FORCED: Final = "5.5.5-"  # MariaDB says this before its version to old clients


def examine(
    largest: int,
    durability: Durability,
    clock: Callable[[], float],
    refusal: StoreError | None,
) -> Procedure[Sequence[Finding]]:
    """Look at the settings that the promises rest on.

    *clock* is this machine's, to be compared with the server's. With *durability*
    declared, a setting that keeps less is no error. *refusal* is what `may_write`
    was refused with, if it was: then no record is read.
    """
    rows = yield Statement("settings")
    rows += yield Statement("following")
    settings = {word(name).lower(): word(value) for name, value in rows}
    before = clock()
    session = yield Statement("session")
    after = clock()
    engines = yield Statement("engines")
    newest = yield Statement("newest_claim" if refusal is None else "read_clock")
    return [
        _version(settings["version"]),
        _flush(settings, durability),
        _binary_log(settings, durability),
        _doublewrite(settings),
        _writable(settings),
        _packet(settings, largest),
        _engine(engines),
        _mode(session[0]),
        _clock(newest[0], seconds(session[0][2]), before, after),
        *_cluster(settings),
        _rights(refusal),
    ]


def _version(version: str) -> Finding:
    name = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    numbers = _NUMBERS.search(version.removeprefix(_FORCED))
    if numbers is None or tuple(map(int, numbers.groups())) < OLDEST[name]:
        oldest = ".".join(map(str, OLDEST[name]))
        detail = f"{name} {version}, which keyonce was never tried with."
        mend = f"Use {name} {oldest} or later."
        return Finding("warning", "version", detail, mend)
    return Finding("ok", "version", f"{name} {version}")


def may_write() -> Procedure[None]:
    """Ask for plans, for which the server asks for the rights to what is planned."""
    yield Statement("rights")


def _rights(refusal: StoreError | None) -> Finding:
    """Say whether this user may do what keyonce does, or with what it was refused."""
    if refusal is not None:
        mend = f"This user needs: {GRANTS}."
        return Finding("error", "privileges", str(refusal), mend)
    return Finding("ok", "privileges", "all that the verbs need")


def _flush(settings: Settings, durability: Durability) -> Finding:
    subject = "durability"
    value = settings.get("innodb_flush_log_at_trx_commit", "unknown")
    if value == "1":
        return Finding("ok", subject, "innodb_flush_log_at_trx_commit is 1")
    detail = (
        f"innodb_flush_log_at_trx_commit is {value}: a power loss takes back what was "
        "acknowledged, and the work may run again."
    )
    return weaker(subject, detail, "Set it to 1.", durability)


def _binary_log(settings: Settings, durability: Durability) -> Finding:
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
        return weaker(subject, detail, "Set it to 1.", durability)
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
    if any(settings.get(name, "OFF") not in ("OFF", "0") for name in FOLLOWING):
        detail = "This server follows another one, and still takes writes."
        return Finding("warning", "role", detail, "Name the primary in the URL.")
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
    other = [word(name) for name, engine in rows if word(engine) != "InnoDB"]
    if other:
        detail = f"{other[0]} is not kept by InnoDB: nothing it says is atomic."
        mend = f"ALTER TABLE {other[0]} ENGINE = InnoDB."
        return Finding("error", "engine", detail, mend)
    return Finding("ok", "engine", "InnoDB")


def _mode(row: Row) -> Finding:
    mode, database = map(word, row[:2])
    return Finding("ok", "session", f"database {database}, sql_mode {mode or 'empty'}")


def _clock(row: Row, server: float, before: float, after: float) -> Finding:
    now = clock_of(row)
    newest = row[1] if len(row) > 1 else None
    ahead = 0.0 if newest is None else seconds(newest) - now
    mend = "Set the clock of the server, and keep it by NTP."
    if now < EARLIEST:
        return Finding("error", "clock", f"The server's clock says {now:.0f}.", mend)
    if ahead > TOLERANCE:
        detail = f"The newest claim is {ahead:.0f} s ahead: the clock went back."
        return Finding("warning", "clock", detail, mend)
    apart = server - after if server > after else min(0.0, server - before)
    if abs(apart) > TOLERANCE:
        word = "ahead of" if apart > 0 else "behind"
        detail = f"The server is {abs(apart):.0f} s {word} this machine."
        mend = "Keep both by NTP. Leases and retention go by the server's clock."
        return Finding("warning", "clock", detail, mend)
    return Finding("ok", "clock", "the server's, and this machine agrees")


def _cluster(settings: Settings) -> Iterator[Finding]:
    if settings.get("wsrep_on") in ON:
        detail = "This is a node of a Galera cluster, on which keyonce was never tried."
        mend = "Let every process write to the same node."
        yield Finding("warning", "cluster", detail, mend)
