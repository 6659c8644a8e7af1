-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- What operators did to records. The rows outlive the records.

CREATE TABLE IF NOT EXISTS keyonce_audits (
    id INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    scope TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    reason TEXT NOT NULL,
    before TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS keyonce_audited ON keyonce_audits (scope, operation, key);
