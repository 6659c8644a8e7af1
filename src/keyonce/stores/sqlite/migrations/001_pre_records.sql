-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- Records, one for each identity, and beside them the outcomes, so that records
-- stay short. Instants are milliseconds since the epoch, or since the instant
-- named before; leases are seconds, kept exactly.

CREATE TABLE IF NOT EXISTS keyonce_records (
    id INTEGER NOT NULL PRIMARY KEY,
    scope TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    status INTEGER NOT NULL,
    guarantee INTEGER NOT NULL,
    executions INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    owner BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    claimed_after INTEGER NOT NULL,
    lease_for REAL NOT NULL,
    lease_until REAL,
    ended_after INTEGER,
    expires_at INTEGER,
    late_after INTEGER,
    scheme TEXT,
    digest BLOB,
    fields BLOB,
    reference TEXT,
    reason TEXT,
    CONSTRAINT keyonce_identity UNIQUE (scope, operation, key)
);

-- Finds what is due for purging and what is stuck, and counts without reading rows.
CREATE INDEX IF NOT EXISTS keyonce_upkeep ON keyonce_records (status, expires_at);

CREATE TABLE IF NOT EXISTS keyonce_results (
    id INTEGER NOT NULL PRIMARY KEY,
    result BLOB NOT NULL
);
