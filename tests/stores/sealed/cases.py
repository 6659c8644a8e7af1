# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Keys for tests, and records as somebody with access to the store changes them."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from keyonce.core.codec import decode, encode
from keyonce.stores.sealed import KeyRing
from keyonce.testing.store_scenarios.cases import ORDER, record_in

OLD = b"o" * 32
NEW = b"n" * 32
RING = KeyRing({"2025": OLD}, current="2025")
ROTATED = KeyRing({"2026": NEW, "2025": OLD}, current="2026")
DROPPED = KeyRing({"2026": NEW}, current="2026")


def run_sql(path, sql, values=()):
    """Change the file of a SQLite store past it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


def frames(path):
    """What is stored as outcomes, in the order of the records."""
    return [row[0] for row in run_sql(path, RESULTS)]


def change_results(path, change):
    """Put another result in the place of each: *change* is given what is stored."""
    for frame in frames(path):
        changed = encode(change(decode(frame)))
        sql = "UPDATE keyonce_results SET result = ? WHERE result = ?"
        run_sql(path, sql, (changed, frame))


def outcome(store, identity=ORDER):
    """What *store* says was answered under *identity*."""
    return record_in(store, identity).result


def able(store):
    """A store that may have more than the verbs."""
    return store


RESULTS = "SELECT result FROM keyonce_results ORDER BY id"
