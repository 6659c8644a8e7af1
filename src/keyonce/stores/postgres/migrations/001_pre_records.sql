-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- Records, one for each identity. Instants are seconds since the epoch on this
-- server's clock. Identities are compared byte by byte. Columns of fixed width
-- stand first, so that nothing is lost to alignment.

CREATE TABLE IF NOT EXISTS keyonce_records (
    created_at FLOAT8 NOT NULL,
    claimed_at FLOAT8 NOT NULL,
    lease_for FLOAT8 NOT NULL,
    -- NULL once the work has ended: then nobody asks, and rows stay short.
    lease_until FLOAT8,
    ended_at FLOAT8,
    expires_at FLOAT8,
    late_until FLOAT8,
    executions INT4 NOT NULL,
    crashes INT4 NOT NULL,
    status INT2 NOT NULL,
    guarantee INT2 NOT NULL,
    -- Somebody waits for the end of this record.
    awaited BOOL NOT NULL DEFAULT FALSE,
    scope TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    owner BYTEA NOT NULL,
    scheme TEXT,
    digest BYTEA,
    fields BYTEA,
    reference TEXT,
    reason TEXT,
    -- Out of line when it is large, and never compressed: it often is already.
    result BYTEA,
    PRIMARY KEY (scope, operation, key),
    CONSTRAINT keyonce_outcome CHECK ((status = 2) = (result IS NOT NULL))
);

ALTER TABLE keyonce_records SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE keyonce_records ALTER COLUMN result SET STORAGE EXTERNAL;

-- Finds what is due for purging.
CREATE INDEX IF NOT EXISTS keyonce_due ON keyonce_records (expires_at)
    WHERE expires_at IS NOT NULL;

-- Finds what runs, is stuck or is unknown. Of few values, so that its entries shrink.
CREATE INDEX IF NOT EXISTS keyonce_open ON keyonce_records (status)
    WHERE status IN (1, 3);

-- Leases that were renewed: a row for each record at most, which counts while the
-- record is this owner's. Written beside the record, so that a transaction that
-- completes it is never in a renewal's way; the space left in a page is for the next.
CREATE TABLE IF NOT EXISTS keyonce_renewals (
    lease_until FLOAT8 NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    owner BYTEA NOT NULL,
    PRIMARY KEY (scope, operation, key)
);

ALTER TABLE keyonce_renewals
    SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
