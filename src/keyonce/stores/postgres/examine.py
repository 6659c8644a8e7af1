# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What `doctor` looks at in a PostgreSQL server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core.model import Finding
from keyonce.stores.durability import weaker
from keyonce.stores.postgres.translate import GRANTS
from keyonce.stores.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.stores.durability import Durability
    from keyonce.stores.postgres.steps import Steps
    from keyonce.stores.statement import Row

TOLERANCE: Final = 2.0
WEAKER: Final = {"local", "remote_write"}


def examine(clock: Callable[[], float], durability: Durability) -> Steps[list[Finding]]:
    """Look at the settings that the promises rest on.

    *clock* is this machine's, to be compared with the server's. With *durability*
    declared, a setting that keeps less is no error.
    """
    before = clock()
    rows = yield Statement("settings")
    after = clock()
    row = rows[0]
    schema = (yield Statement("schema_version")) if row[10] else []
    return [
        _version(row, schema[0][0] if schema else "unknown"),
        _primary(row),
        _fsync(row, durability),
        _full_pages(row),
        _synchronous_commit(row, durability),
        _isolation(row),
        _privileges(row[9]),
        _clocks(row[7], before, after),
    ]


def pooler(*, pooled: bool, hears: bool) -> Finding:
    """Say what is between here and the server, and whether news comes through."""
    if not pooled:
        return Finding("ok", "pooler", "none")
    detail = "there is one: statements are not prepared, which costs some time"
    if hears:
        return Finding("ok", "pooler", detail)
    return Finding(
        "warning",
        "pooler",
        f"{detail}, and LISTEN does not work: who waits for another process asks again "
        "every half second.",
        "Nothing, if no rule has in_flight = 'wait'. Else give the store a news_url "
        "that leads past the pooler, or name the server itself in the URL.",
    )


def _version(row: Row, schema: int | str) -> Finding:
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


def _fsync(row: Row, durability: Durability) -> Finding:
    if not row[1]:
        detail = "fsync is off: a power loss forgets what was acknowledged."
        return weaker("fsync", detail, "Set fsync = on and reload.", durability)
    return Finding("ok", "fsync", "on")


def _full_pages(row: Row) -> Finding:
    if not row[8]:
        detail = "full_page_writes is off: a power loss may tear a page."
        mend = "Turn it on, unless the file system writes whole pages."
        return Finding("warning", "full_page_writes", detail, mend)
    return Finding("ok", "full_page_writes", "on")


def _synchronous_commit(row: Row, durability: Durability) -> Finding:
    mode, standbys = row[2], row[3]
    if mode == "off":
        detail = "synchronous_commit is off: a crash forgets the last claims."
        mend = "ALTER ROLE … SET synchronous_commit = on, and connect anew."
        return weaker("synchronous_commit", detail, mend, durability)
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


def _privileges(missing: str | None) -> Finding:
    if missing:
        detail = f"This role lacks {missing}."
        mend = (
            f"This role needs: {GRANTS}. A table that is gone: restore it, or drop "
            "keyonce_schema to begin anew."
        )
        return Finding("error", "privileges", detail, mend)
    return Finding("ok", "privileges", "all that the verbs need")


def _clocks(server: float, before: float, after: float) -> Finding:
    ahead = server - after if server > after else min(0.0, server - before)
    if abs(ahead) > TOLERANCE:
        word = "ahead of" if ahead > 0 else "behind"
        detail = f"The server is {abs(ahead):.0f} s {word} this machine."
        mend = "Keep both by NTP. Leases and retention go by the server's clock."
        return Finding("warning", "clock", detail, mend)
    return Finding("ok", "clock", "the server's, and this machine agrees")
