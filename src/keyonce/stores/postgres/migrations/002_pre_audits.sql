-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- What operators did to records. The rows outlive the records.

CREATE TABLE IF NOT EXISTS keyonce_audits (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at FLOAT8 NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    operation TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    reason TEXT NOT NULL,
    before TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS keyonce_audited ON keyonce_audits (scope, operation, key);
