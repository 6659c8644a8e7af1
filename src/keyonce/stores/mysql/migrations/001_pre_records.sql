-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- Records, one for each identity. The identity is the primary key, in bytes: no
-- collation makes two keys one, and a lock on one key never reaches a gap that
-- another key falls into. Instants are microseconds since the epoch, spans are
-- microseconds, texts are UTF-8. 255 characters of any text fit into `scope` and
-- `key`, and 256 into `operation`.

CREATE TABLE IF NOT EXISTS keyonce_records (
    scope VARBINARY(1020) NOT NULL,
    operation VARBINARY(1024) NOT NULL,
    `key` VARBINARY(1020) NOT NULL,
    status TINYINT UNSIGNED NOT NULL,
    guarantee TINYINT UNSIGNED NOT NULL,
    executions INT UNSIGNED NOT NULL,
    crashes INT UNSIGNED NOT NULL,
    owner VARBINARY(255) NOT NULL,
    created_at BIGINT NOT NULL,
    claimed_at BIGINT NOT NULL,
    lease_for BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    ended_at BIGINT NULL,
    expires_at BIGINT NULL,
    late_until BIGINT NULL,
    scheme MEDIUMBLOB NULL,
    digest VARBINARY(255) NULL,
    fields MEDIUMBLOB NULL,
    reference MEDIUMBLOB NULL,
    reason MEDIUMBLOB NULL,
    result LONGBLOB NULL,
    -- What the work has noted of its finished parts, until it is completed.
    steps LONGBLOB NULL,
    -- The number of its owner's last note: none that comes too late undoes it.
    noted INT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, operation, `key`),
    -- Finds what is due for purging and what is stuck, and counts without the rows.
    KEY keyonce_upkeep (status, expires_at, claimed_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
