-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0

-- find_record --
SELECT
    id, status, guarantee, owner, executions, crashes, created_at, claimed_after,
    lease_for, lease_until, ended_after, expires_at, late_after, scheme, digest,
    fields, reference, reason,
    (SELECT result FROM keyonce_results WHERE id = r.id), steps, noted
FROM keyonce_records AS r
WHERE scope = ? AND operation = ? AND key = ?;

-- take_lock --
DELETE FROM keyonce_results WHERE id IS NULL;

-- insert_record --
INSERT INTO keyonce_records (
    status, guarantee, owner, executions, crashes, created_at, claimed_after,
    lease_for, lease_until, ended_after, expires_at, late_after, scheme, digest,
    fields, reference, reason, steps, noted, scope, operation, key
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- update_record --
UPDATE keyonce_records SET
    status = ?, guarantee = ?, owner = ?, executions = ?, crashes = ?,
    created_at = ?, claimed_after = ?, lease_for = ?, lease_until = ?,
    ended_after = ?, expires_at = ?, late_after = ?, scheme = ?, digest = ?,
    fields = ?, reference = ?, reason = ?, steps = ?, noted = ?
WHERE id = ?;

-- renew_record --
UPDATE keyonce_records SET lease_until = ? WHERE id = ?;

-- note_record --
UPDATE keyonce_records SET steps = ?, reference = ?, noted = ? WHERE id = ?;

-- put_result --
INSERT OR REPLACE INTO keyonce_results (id, result) VALUES (?, ?);

-- delete_result --
DELETE FROM keyonce_results WHERE id = ?;

-- delete_record --
DELETE FROM keyonce_records WHERE id = ?;

-- keep_for_ever --
UPDATE keyonce_records SET expires_at = NULL WHERE id = ?;

-- due_records --
SELECT
    scope, operation, key,
    id, status, guarantee, owner, executions, crashes, created_at, claimed_after,
    lease_for, lease_until, ended_after, expires_at, late_after, scheme, digest,
    fields, reference, reason, NULL, NULL, 0
FROM keyonce_records
WHERE status IN (2, 4, 5) AND expires_at <= ?
LIMIT ?;

-- list_records --
SELECT
    scope, operation, key,
    id, status, guarantee, owner, executions, crashes, created_at, claimed_after,
    lease_for, lease_until, ended_after, expires_at, late_after, scheme, digest,
    fields, reference, reason,
    EXISTS (SELECT 1 FROM keyonce_results WHERE id = r.id), NULL, 0
FROM keyonce_records AS r
WHERE (scope, operation, key) > (:after_scope, :after_operation, :after_key)
    AND (:scope IS NULL OR scope = :scope)
    AND (:operation IS NULL OR operation = :operation)
    AND (:key IS NULL OR key = :key)
    AND (:statuses >> status) & 1
ORDER BY scope, operation, key
LIMIT :limit;

-- list_open --
SELECT
    scope, operation, key,
    id, status, guarantee, owner, executions, crashes, created_at, claimed_after,
    lease_for, lease_until, ended_after, expires_at, late_after, scheme, digest,
    fields, reference, reason, 0, NULL, 0
FROM keyonce_records
WHERE status IN (1, 3)
    AND (scope, operation, key) > (:after_scope, :after_operation, :after_key)
    AND (:scope IS NULL OR scope = :scope)
    AND (:operation IS NULL OR operation = :operation)
    AND (:key IS NULL OR key = :key)
    AND (:statuses >> status) & 1
ORDER BY +scope, +operation, +key
LIMIT :limit;

-- count_records --
SELECT status, count(*), min(id) FROM keyonce_records GROUP BY status;

-- claimed_at --
SELECT created_at + claimed_after FROM keyonce_records WHERE id = ?;

-- count_expired --
SELECT count(*) FROM keyonce_records WHERE status IN (2, 4, 5) AND expires_at <= ?;

-- stored_bytes --
SELECT (page_count - freelist_count) * page_size
FROM pragma_page_count, pragma_freelist_count, pragma_page_size;

-- insert_audit --
INSERT INTO keyonce_audits (
    at, actor, action, scope, operation, key, reason, before
) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- list_audits --
SELECT at, actor, action, scope, operation, key, reason, before
FROM keyonce_audits
WHERE :scope IS NULL
    OR (scope = :scope AND operation = :operation AND key = :key)
ORDER BY id DESC;
