# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Files full of keys, and commands for new ones."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Final

from keyonce.core.codec import encode
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Claim, Completion, Fingerprint, Identity, StoredResult
from keyonce.engine.tokens import fresh_token
from keyonce.stores.sqlite import SQLiteStore

if TYPE_CHECKING:
    from pathlib import Path

DAY: Final = 86_400_000
SCOPE: Final = "a-scope-of-22-letters-"
OPERATION: Final = "POST /orders"

# What the store itself would have written for completed work.
RECORDS: Final = """
WITH RECURSIVE numbers(n) AS (
    SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :keys
)
INSERT INTO keyonce_records (
    status, guarantee, owner, executions, crashes, created_at, claimed_after,
    lease_for, ended_after, expires_at, scheme, digest, scope, operation, key
)
SELECT
    2, 3, randomblob(16), 1, 0, :now, 0, 30.0, 5, :expires, 'v1', randomblob(32),
    :scope, :operation, hex(randomblob(16))
FROM numbers
"""
RESULTS: Final = """
INSERT INTO keyonce_results (id, result) SELECT id, :result FROM keyonce_records
"""


def fill(path: Path, keys: int, *, expired: bool) -> None:
    """Put *keys* completed records into a new file, quickly."""
    SQLiteStore(path, purge_every=None).close()
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA synchronous = OFF")
    now = round(time.time() * 1000)
    expires = now - 1000 if expired else now + DAY
    outcome = StoredResult(201, (), b"n" * 300, size=300)
    values = {"keys": keys, "now": now, "expires": expires}
    raw.execute("BEGIN")
    raw.execute(RECORDS, values | {"scope": SCOPE, "operation": OPERATION})
    raw.execute(RESULTS, {"result": encode(outcome)})
    raw.execute("COMMIT")
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()


def claim_of(key: str) -> Claim:
    """Want *key*, for work of half a minute at most."""
    return Claim(
        identity=Identity(SCOPE, OPERATION, key),
        owner=fresh_token(),
        fingerprint=Fingerprint("v1", b"d" * 32),
        guarantee=Guarantee.AT_MOST_ONCE,
        lease_for=30.0,
        max_crashes=3,
    )


def completion_of(command: Claim, outcome: StoredResult) -> Completion:
    """Be done with what *command* claimed."""
    return Completion(command.identity, command.owner, outcome, 86_400.0)
