-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- A block goes to the server in one piece, also where it holds several statements;
-- its answer is that of the last. Each statement is a transaction of its own.
-- {now} is the server's clock, {read} and {read_back} are the blocks of that name.

-- read --
SELECT
    {now}, FALSE, status, guarantee, owner, executions, crashes, created_at,
    claimed_at, lease_for, lease_until, ended_at, expires_at, late_until, scheme,
    digest, fields, reference, reason, result
FROM keyonce_records
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s;

-- read_back --
SELECT
    {now}, ROW_COUNT() > 0, status, guarantee, owner, executions, crashes, created_at,
    claimed_at, lease_for, lease_until, ended_at, expires_at, late_until, scheme,
    digest, fields, reference, reason, IF(ROW_COUNT() > 0, NULL, result)
FROM keyonce_records
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s;

-- insert_record --
INSERT INTO keyonce_records (
    scope, operation, `key`, status, guarantee, owner, executions, crashes,
    created_at, claimed_at, lease_for, lease_until, scheme, digest, fields
) VALUES (
    %(scope)s, %(operation)s, %(key)s, 1, %(guarantee)s, %(owner)s, 1, 0,
    {now}, {now}, %(lease_for)s, {now} + %(lease_for)s, %(scheme)s, %(digest)s,
    %(fields)s
) ON DUPLICATE KEY UPDATE status = status;
{read};

-- claim_again --
UPDATE keyonce_records SET
    status = 1, guarantee = %(guarantee)s, owner = %(owner)s,
    executions = %(executions)s, crashes = %(crashes)s,
    created_at = IF(%(anew)s, {now}, created_at), claimed_at = {now},
    lease_for = %(lease_for)s, lease_until = {now} + %(lease_for)s, ended_at = NULL,
    expires_at = NULL, late_until = NULL, scheme = %(scheme)s, digest = %(digest)s,
    fields = %(fields)s, reference = NULL, reason = NULL, result = NULL
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(seen_owner)s AND status = %(seen_status)s
    AND lease_until = %(seen_lease)s;
{read};

-- end_lease --
UPDATE keyonce_records SET
    status = 3, crashes = %(crashes)s, ended_at = {now}, reason = %(reason)s
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(seen_owner)s AND status = %(seen_status)s
    AND lease_until = %(seen_lease)s;
{read};

-- complete_record --
UPDATE keyonce_records SET
    status = 2, crashes = 0, ended_at = {now}, expires_at = {now} + %(retention_for)s,
    late_until = {now} + %(late_after)s, result = %(result)s,
    reference = COALESCE(%(reference)s, reference), reason = NULL
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(owner)s AND status IN (1, 3);
{read_back};

-- release_record --
UPDATE keyonce_records SET
    status = 4, crashes = 0, ended_at = {now}, expires_at = {now} + %(retention_for)s,
    scheme = NULL, digest = NULL, fields = NULL, reason = %(reason)s
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(owner)s AND status = 1;
{read_back};

-- abandon_record --
UPDATE keyonce_records SET status = 3, ended_at = {now}, reason = %(reason)s
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(owner)s AND status = 1;
{read_back};

-- renew_record --
UPDATE keyonce_records SET lease_until = {now} + lease_for
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(owner)s AND status = 1;
{read};

-- begin --
START TRANSACTION;

-- commit --
COMMIT;

-- roll_back --
ROLLBACK;

-- lock_record --
{read} FOR UPDATE;

-- settle_record --
UPDATE keyonce_records SET
    status = %(status)s, guarantee = %(guarantee)s, owner = %(owner)s,
    executions = %(executions)s, crashes = %(crashes)s, ended_at = %(ended_at)s,
    expires_at = %(expires_at)s, late_until = NULL, scheme = %(scheme)s,
    digest = %(digest)s, fields = %(fields)s, reference = %(reference)s,
    reason = %(reason)s, result = %(result)s
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s;

-- insert_audit --
INSERT INTO keyonce_audits (
    `at`, actor, action, scope, operation, `key`, reason, `before`
) VALUES (
    %(at)s, %(actor)s, %(action)s, %(scope)s, %(operation)s, %(key)s, %(reason)s,
    %(before)s
);

-- list_audits --
SELECT `at`, actor, action, scope, operation, `key`, reason, `before`
FROM keyonce_audits
WHERE %(scope)s IS NULL
    OR (scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s)
ORDER BY id DESC;

-- list_records --
SELECT
    scope, operation, `key`,
    {now}, FALSE, status, guarantee, owner, executions, crashes, created_at,
    claimed_at, lease_for, lease_until, ended_at, expires_at, late_until, scheme,
    digest, fields, reference, reason, result IS NOT NULL
FROM keyonce_records
WHERE (
        scope > %(after_scope)s
        OR (scope = %(after_scope)s AND operation > %(after_operation)s)
        OR (
            scope = %(after_scope)s AND operation = %(after_operation)s
            AND `key` > %(after_key)s
        )
    )
    AND (%(scope)s IS NULL OR scope = %(scope)s)
    AND (%(operation)s IS NULL OR operation = %(operation)s)
    AND (%(key)s IS NULL OR `key` = %(key)s)
    AND (%(statuses)s >> status) & 1
ORDER BY scope, operation, `key`
LIMIT %(limit)s;

-- list_open --
SELECT
    scope, operation, `key`,
    {now}, FALSE, status, guarantee, owner, executions, crashes, created_at,
    claimed_at, lease_for, lease_until, ended_at, expires_at, late_until, scheme,
    digest, fields, reference, reason, FALSE
FROM keyonce_records FORCE INDEX (keyonce_upkeep)
WHERE status IN (1, 3)
    AND (
        scope > %(after_scope)s
        OR (scope = %(after_scope)s AND operation > %(after_operation)s)
        OR (
            scope = %(after_scope)s AND operation = %(after_operation)s
            AND `key` > %(after_key)s
        )
    )
    AND (%(scope)s IS NULL OR scope = %(scope)s)
    AND (%(operation)s IS NULL OR operation = %(operation)s)
    AND (%(key)s IS NULL OR `key` = %(key)s)
    AND (%(statuses)s >> status) & 1
ORDER BY scope, operation, `key`
LIMIT %(limit)s;

-- read_clock --
SELECT {now};

-- count_closed --
SELECT status, COUNT(*), MIN(claimed_at)
FROM keyonce_records FORCE INDEX (keyonce_upkeep)
WHERE status NOT IN (1, 3)
GROUP BY status;

-- count_open --
SELECT
    IF(status = 1 AND guarantee = 3 AND {now} >= lease_until + lease_for / 3, 3, status)
    AS standing,
    COUNT(*), MIN(claimed_at)
FROM keyonce_records FORCE INDEX (keyonce_upkeep)
WHERE status IN (1, 3)
GROUP BY standing;

-- stored_bytes --
SELECT SUM(data_length + index_length)
FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name IN ('keyonce_records', 'keyonce_audits');

-- due_records --
SELECT scope, operation, `key`
FROM keyonce_records FORCE INDEX (keyonce_upkeep)
WHERE status IN (2, 4, 5) AND expires_at <= {now}
LIMIT %(limit)s;

-- purge_records --
UPDATE keyonce_records FORCE INDEX (PRIMARY) SET
    status = 5, expires_at = late_until, scheme = NULL, digest = NULL, fields = NULL,
    result = NULL
WHERE (scope, operation, `key`) IN %(identities)s
    AND status = 2 AND expires_at <= {now} AND late_until > {now};
DELETE r FROM keyonce_records AS r FORCE INDEX (PRIMARY)
WHERE (scope, operation, `key`) IN %(identities)s
    AND status IN (2, 4, 5) AND expires_at <= {now}
    AND (late_until IS NULL OR late_until <= {now});

-- newest_claim --
SELECT {now}, MAX(claimed_at)
FROM keyonce_records FORCE INDEX (keyonce_upkeep)
WHERE status = 1;

-- settings --
SHOW GLOBAL VARIABLES WHERE Variable_name IN (
    'version', 'innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'log_bin',
    'sync_binlog', 'binlog_format', 'read_only', 'super_read_only',
    'innodb_read_only', 'max_allowed_packet', 'wsrep_on'
);

-- session --
SELECT @@SESSION.sql_mode, DATABASE();

-- engines --
SELECT table_name, engine
FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name IN ('keyonce_records', 'keyonce_audits');
