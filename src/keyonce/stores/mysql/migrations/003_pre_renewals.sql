-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- How long leases were prolonged, apart from the records: a record's row belongs to
-- whoever writes its outcome, in a transaction that may be open for long. A row here
-- counts while the record is in progress and has this owner; later it is removed.

CREATE TABLE IF NOT EXISTS keyonce_renewals (
    scope VARBINARY(1020) NOT NULL,
    operation VARBINARY(1024) NOT NULL,
    `key` VARBINARY(1020) NOT NULL,
    owner VARBINARY(255) NOT NULL,
    lease_until BIGINT NOT NULL,
    PRIMARY KEY (scope, operation, `key`)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
