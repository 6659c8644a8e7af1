-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- A block goes to the server in one piece, also where it holds several statements;
-- its answer is that of the last. Each statement is a transaction of its own, but for
-- those between `begin` and `commit`. {now} is the server's clock; any other word in
-- braces is the block of that name.
--
-- Renewing writes `keyonce_renewals` and only reads the record, without a lock: so it
-- never meets the transaction of a caller, which writes the record alone. Who takes a
-- lease over locks the record first, then the renewal, and only then looks how long
-- the lease lasts; who renews locks the renewal and then looks who the owner is. One
-- of the two comes first, and the other sees it. A record that somebody else has
-- locked is not taken over: another claimant is soon done, a caller perhaps not.
--
-- A completed record has a result, any other may have steps: so both are read in one
-- place, and whoever has no steps reads not a byte more.

-- lease --
IF(status = 1, GREATEST(lease_until, COALESCE((
    SELECT n.lease_until FROM keyonce_renewals AS n
    WHERE n.scope = keyonce_records.scope AND n.operation = keyonce_records.operation
        AND n.`key` = keyonce_records.`key` AND n.owner = keyonce_records.owner
), 0)), lease_until);

-- lease_now --
IF(status = 1, GREATEST(lease_until, COALESCE((
    SELECT n.lease_until FROM keyonce_renewals AS n
    WHERE n.scope = keyonce_records.scope AND n.operation = keyonce_records.operation
        AND n.`key` = keyonce_records.`key` AND n.owner = keyonce_records.owner
    FOR UPDATE
), 0)), lease_until);

-- hold --
INSERT INTO keyonce_renewals (scope, operation, `key`, owner, lease_until)
VALUES (%(scope)s, %(operation)s, %(key)s, '', 0)
ON DUPLICATE KEY UPDATE lease_until = lease_until;

-- lock --
SELECT 1 FROM keyonce_records
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
FOR UPDATE;

-- begin --
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
START TRANSACTION;

-- commit --
COMMIT;

-- roll_back --
ROLLBACK;

-- read --
SELECT
    {now}, FALSE, status, guarantee, owner, executions, crashes, created_at,
    claimed_at, lease_for, {lease}, ended_at, expires_at, late_until, scheme,
    digest, fields, reference, reason, IF(status = 2, result, steps) AS result
FROM keyonce_records
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s;

-- read_many --
SELECT
    scope, operation, `key`,
    {now}, FALSE, status, guarantee, owner, executions, crashes, created_at,
    claimed_at, lease_for, {lease}, ended_at, expires_at, late_until, scheme,
    digest, fields, reference, reason, IF(status = 2, result, steps) AS result
FROM keyonce_records FORCE INDEX (PRIMARY)
WHERE (scope, operation, `key`) IN %(identities)s;

-- read_now --
SELECT
    {now}, FALSE, status, guarantee, owner, executions, crashes, created_at,
    claimed_at, lease_for, {lease_now}, ended_at, expires_at, late_until, scheme,
    digest, fields, reference, reason, IF(status = 2, result, steps) AS result
FROM keyonce_records
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
FOR UPDATE;

-- read_back --
SELECT
    {now}, ROW_COUNT() > 0, status, guarantee, owner, executions, crashes, created_at,
    claimed_at, lease_for, {lease}, ended_at, expires_at, late_until, scheme,
    digest, fields, reference, reason, {not_written}
FROM keyonce_records
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s;

-- not_written --
IF(ROW_COUNT() > 0, NULL, IF(status = 2, result, steps));

-- insert --
INSERT INTO keyonce_records (
    scope, operation, `key`, status, guarantee, owner, executions, crashes,
    created_at, claimed_at, lease_for, lease_until, scheme, digest, fields
) VALUES (
    %(scope)s, %(operation)s, %(key)s, 1, %(guarantee)s, %(owner)s, 1, 0,
    {now}, {now}, %(lease_for)s, {now} + %(lease_for)s, %(scheme)s, %(digest)s,
    %(fields)s
) ON DUPLICATE KEY UPDATE status = status;

-- insert_record --
{insert};
{read};

-- again --
UPDATE keyonce_records SET
    status = 1, guarantee = %(guarantee)s, owner = %(owner)s,
    executions = %(executions)s, crashes = %(crashes)s,
    created_at = IF(%(anew)s, {now}, created_at), claimed_at = {now},
    lease_for = %(lease_for)s, lease_until = {now} + %(lease_for)s, ended_at = NULL,
    expires_at = NULL, late_until = NULL, scheme = %(scheme)s, digest = %(digest)s,
    fields = %(fields)s, reference = IF(%(anew)s, NULL, reference), reason = NULL,
    result = NULL, steps = IF(%(anew)s, NULL, steps), noted = 0
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(seen_owner)s AND status = %(seen_status)s
    AND {lease} = %(seen_lease)s;

-- claim_again --
{again};
{read};

-- take_over --
{begin};
{lock} NOWAIT;
{hold};
{again};
{commit};
{read};

-- give_way --
{roll_back};
DO SLEEP(0.025);
{read};

-- end --
UPDATE keyonce_records SET
    status = 3, crashes = %(crashes)s, ended_at = {now}, reason = %(reason)s,
    lease_until = %(seen_lease)s
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(seen_owner)s AND status = %(seen_status)s
    AND {lease} = %(seen_lease)s;

-- end_lease --
{begin};
{lock} NOWAIT;
{hold};
{end};
{commit};
{read};

-- outcome --
    status = 2, crashes = 0, ended_at = {now}, expires_at = {now} + %(retention_for)s,
    late_until = {now} + %(late_after)s, result = %(result)s,
    reference = COALESCE(%(reference)s, reference), reason = NULL, steps = NULL
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(owner)s AND status IN (1, 3);

-- complete_record --
UPDATE keyonce_records SET
    lease_until = {lease},
    {outcome};
{read_back};

-- release_record --
UPDATE keyonce_records SET
    lease_until = {lease}, status = 4, crashes = 0, ended_at = {now}, expires_at = {now} + %(retention_for)s,
    scheme = NULL, digest = NULL, fields = NULL, reason = %(reason)s
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(owner)s AND status = 1;
{read_back};

-- abandon_record --
UPDATE keyonce_records SET
    lease_until = {lease}, status = 3, ended_at = {now}, reason = %(reason)s
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(owner)s AND status = 1;
{read_back};

-- renew_record --
{begin};
{hold};
UPDATE keyonce_renewals SET
    owner = %(owner)s,
    lease_until = {now} + (
        SELECT r.lease_for FROM keyonce_records AS r
        WHERE r.scope = %(scope)s AND r.operation = %(operation)s
            AND r.`key` = %(key)s
    )
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND EXISTS (
        SELECT 1 FROM keyonce_records AS r
        WHERE r.scope = %(scope)s AND r.operation = %(operation)s
            AND r.`key` = %(key)s AND r.owner = %(owner)s AND r.status = 1
    );
{commit};
{read};

-- note_record --
UPDATE keyonce_records SET
    steps = IF(%(number)s >= noted, COALESCE(%(steps)s, steps), steps),
    reference = IF(%(number)s >= noted, COALESCE(%(reference)s, reference), reference),
    noted = GREATEST(noted, %(number)s)
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(owner)s AND status IN (1, 3);
SELECT 1
FROM keyonce_records
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
    AND owner = %(owner)s AND status IN (1, 3);

-- lock_record --
{lock};
{hold};
{read_now};

-- settle_record --
UPDATE keyonce_records SET
    status = %(status)s, guarantee = %(guarantee)s, owner = %(owner)s,
    executions = %(executions)s, crashes = %(crashes)s,
    lease_until = %(lease_until)s, ended_at = %(ended_at)s,
    expires_at = %(expires_at)s, late_until = NULL, scheme = %(scheme)s,
    digest = %(digest)s, fields = %(fields)s, reference = %(reference)s,
    reason = %(reason)s, result = %(result)s, steps = %(steps)s
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s;

-- delete_record --
DELETE FROM keyonce_records
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
    claimed_at, lease_for, {lease}, ended_at, expires_at, late_until, scheme,
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
    claimed_at, lease_for, {lease}, ended_at, expires_at, late_until, scheme,
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
    IF(status = 1 AND guarantee = 3 AND {now} >= {lease} + lease_for / 3, 3, status)
    AS standing,
    COUNT(*), MIN(claimed_at)
FROM keyonce_records FORCE INDEX (keyonce_upkeep)
WHERE status IN (1, 3)
GROUP BY standing;

-- count_expired --
SELECT COUNT(*)
FROM keyonce_records FORCE INDEX (keyonce_upkeep)
WHERE status IN (2, 4, 5) AND expires_at <= {now};

-- stored_bytes --
SELECT SUM(data_length), SUM(index_length)
FROM information_schema.tables
WHERE table_schema = DATABASE()
    AND table_name IN ('keyonce_records', 'keyonce_renewals', 'keyonce_audits');

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

-- stale_renewals --
SELECT n.scope, n.operation, n.`key`, n.owner
FROM keyonce_renewals AS n
LEFT JOIN keyonce_records AS r
    ON r.scope = n.scope AND r.operation = n.operation AND r.`key` = n.`key`
WHERE r.status IS NULL OR r.status <> 1 OR r.owner <> n.owner
LIMIT %(limit)s;

-- drop_renewals --
DELETE FROM keyonce_renewals
WHERE (scope, operation, `key`) IN %(identities)s AND owner IN %(owners)s;

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

-- following --
SHOW GLOBAL STATUS WHERE Variable_name IN (
    'Slave_running', 'Slaves_running', 'Replica_running'
);

-- rights --
EXPLAIN INSERT INTO keyonce_records SELECT * FROM keyonce_records WHERE 1 = 0;
EXPLAIN UPDATE keyonce_records SET expires_at = NULL WHERE 1 = 0;
EXPLAIN DELETE FROM keyonce_records WHERE 1 = 0;
EXPLAIN INSERT INTO keyonce_renewals SELECT * FROM keyonce_renewals WHERE 1 = 0;
EXPLAIN UPDATE keyonce_renewals SET lease_until = 0 WHERE 1 = 0;
EXPLAIN DELETE FROM keyonce_renewals WHERE 1 = 0;
EXPLAIN INSERT INTO keyonce_audits SELECT * FROM keyonce_audits WHERE 1 = 0;
EXPLAIN SELECT version FROM keyonce_schema;

-- session --
SELECT @@SESSION.sql_mode, DATABASE(),
    TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6));

-- engines --
SELECT table_name, engine
FROM information_schema.tables
WHERE table_schema = DATABASE()
    AND table_name IN ('keyonce_records', 'keyonce_renewals', 'keyonce_audits');

-- place --
SELECT DATABASE(), @@hostname, @@port, @@datadir, @@server_id;

-- autocommit --
SELECT @@SESSION.autocommit;

-- touch --
DO 0;

-- lock_wait --
SELECT @@SESSION.innodb_lock_wait_timeout;

-- set_lock_wait --
SET SESSION innodb_lock_wait_timeout = %(seconds)s;

-- set_savepoint --
SAVEPOINT keyonce_claim;

-- back_to_savepoint --
ROLLBACK TO SAVEPOINT keyonce_claim;

-- drop_savepoint --
RELEASE SAVEPOINT keyonce_claim;

-- insert_inside --
{insert};
{read}
FOR UPDATE;

-- again_inside --
{again};
{read}
FOR UPDATE;

-- end_inside --
{end};
{read}
FOR UPDATE;

-- complete_inside --
UPDATE keyonce_records SET
    {outcome};
SELECT
    {now}, ROW_COUNT() > 0, status, guarantee, owner, executions, crashes, created_at,
    claimed_at, lease_for, lease_until, ended_at, expires_at, late_until, scheme,
    digest, fields, reference, reason, {not_written}
FROM keyonce_records
WHERE scope = %(scope)s AND operation = %(operation)s AND `key` = %(key)s
FOR UPDATE;
