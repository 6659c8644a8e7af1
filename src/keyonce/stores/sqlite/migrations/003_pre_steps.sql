-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- What the work has noted of its finished parts, until it is completed; and the number
-- of its owner's last note, so that none that comes too late undoes it.

ALTER TABLE keyonce_records ADD COLUMN steps BLOB;
ALTER TABLE keyonce_records ADD COLUMN noted INTEGER NOT NULL DEFAULT 0;
