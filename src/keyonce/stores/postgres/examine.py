# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What `doctor` looks at in a PostgreSQL server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core.model import Finding
from keyonce.stores.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.stores.postgres.steps import Steps
    from keyonce.stores.statement import Row

TOLERANCE: Final = 2.0
WEAKER: Final = {"local", "remote_write"}


def examine(clock: Callable[[], float]) -> Steps[list[Finding]]:
    """Look at the settings that the promises rest on.

    *clock* is this machine's, to be compared with the server's.
    """
    before = clock()
    rows = yield Statement("settings")
    after = clock()
    schema = yield Statement("schema_version")
    row = rows[0]
    return [
        _version(row, schema[0][0]),
        _primary(row),
        _fsync(row),
        _synchronous_commit(row),
        _isolation(row),
        _clocks(row[7], before, after),
    ]


def pooler(*, pooled: bool) -> Finding:
    """Say what is between here and the server."""
    if pooled:
        detail = "there is one: statements are not prepared, which costs some time"
        return Finding("ok", "pooler", detail)
    return Finding("ok", "pooler", "none")


def _version(row: Row, schema: int) -> Finding:
    return Finding("ok", "version", f"schema {schema}, PostgreSQL {row[0]}")


def _primary(row: Row) -> Finding:
    if row[5]:
        detail = "This server is a replica: it lags behind and cannot be written."
        return Finding("error", "primary", detail, "Name the primary in the URL.")
    if row[6]:
        detail = "Transactions of this role are read only."
        mend = "ALTER ROLE … SET default_transaction_read_only = off."
        return Finding("error", "primary", detail, mend)
    return Finding("ok", "primary", "not in recovery, can be written")


def _fsync(row: Row) -> Finding:
    if not row[1]:
        detail = "fsync is off: a power loss forgets what was acknowledged."
        return Finding("error", "fsync", detail, "Set fsync = on and reload.")
    return Finding("ok", "fsync", "on")


def _synchronous_commit(row: Row) -> Finding:
    mode, standbys = row[2], row[3]
    if mode == "off":
        detail = "synchronous_commit is off: a crash forgets the last claims."
        mend = "ALTER ROLE … SET synchronous_commit = on, and connect anew."
        return Finding("error", "synchronous_commit", detail, mend)
    if standbys and mode in WEAKER:
        detail = f"{mode}: a failover may forget the last claims."
        mend = "ALTER ROLE … SET synchronous_commit = on, for the standbys' sake."
        return Finding("warning", "synchronous_commit", detail, mend)
    if not standbys:
        detail = f"{mode}, no synchronous standby: a failover may forget claims"
        return Finding("ok", "synchronous_commit", detail)
    return Finding("ok", "synchronous_commit", f"{mode}, standbys {standbys}")


def _isolation(row: Row) -> Finding:
    return Finding("ok", "isolation", f"{row[4]}; every level will do")


def _clocks(server: float, before: float, after: float) -> Finding:
    ahead = server - after if server > after else min(0.0, server - before)
    if abs(ahead) > TOLERANCE:
        word = "ahead of" if ahead > 0 else "behind"
        detail = f"The server is {abs(ahead):.0f} s {word} this machine."
        mend = "Keep both by NTP. Leases and retention go by the server's clock."
        return Finding("warning", "clock", detail, mend)
    return Finding("ok", "clock", "the server's, and this machine agrees")
