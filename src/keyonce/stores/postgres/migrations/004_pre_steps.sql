-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- What the work has noted of its finished parts, until it is completed.

ALTER TABLE keyonce_records ADD COLUMN IF NOT EXISTS steps BYTEA;
