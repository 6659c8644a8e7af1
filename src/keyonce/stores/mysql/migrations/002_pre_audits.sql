-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- What operators did to records. The rows outlive the records.

CREATE TABLE IF NOT EXISTS keyonce_audits (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    `at` BIGINT NOT NULL,
    actor MEDIUMBLOB NOT NULL,
    action VARBINARY(255) NOT NULL,
    scope VARBINARY(1020) NOT NULL,
    operation VARBINARY(1024) NOT NULL,
    `key` VARBINARY(1020) NOT NULL,
    reason MEDIUMBLOB NOT NULL,
    `before` VARBINARY(255) NOT NULL,
    KEY keyonce_audited (scope, operation, `key`)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
