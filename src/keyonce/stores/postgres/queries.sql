-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- Each verb is one statement: one round trip, one transaction, and nothing is kept in
-- the session, so that all of it works through a pooler in transaction mode. $1 is the
-- time in tests; where it is NULL the clock of this server counts.

-- find --
SELECT
    status, guarantee, owner, executions, crashes, created_at, claimed_at, lease_for,
    lease_until, ended_at, expires_at, late_until, scheme, digest, fields, reference,
    reason,
    result, coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8)
FROM keyonce_records
WHERE scope = $2::TEXT AND operation = $3::TEXT AND key = $4::TEXT;

-- begin --
-- Read, and insert only where the read found nothing: what claims of new keys and of
-- finished ones come down to. No row: somebody inserted the key meanwhile.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
), seen AS MATERIALIZED (
    SELECT * FROM keyonce_records
    WHERE scope = $2::TEXT AND operation = $3::TEXT AND key = $4::TEXT
), begun AS (
    INSERT INTO keyonce_records (
        status, guarantee, owner, executions, crashes, created_at, claimed_at,
        lease_for, lease_until, scheme, digest, fields, scope, operation, key
    )
    SELECT
        1, $6::INT2, $5::BYTEA, 1, 0, c.now, c.now,
        $7::FLOAT8, c.now + $7::FLOAT8, $8::TEXT, $9::BYTEA, $10::BYTEA,
        $2::TEXT, $3::TEXT, $4::TEXT
    FROM clock AS c
    WHERE NOT EXISTS (SELECT 1 FROM seen)
    ON CONFLICT (scope, operation, key) DO NOTHING
    RETURNING *
)
SELECT
    r.status, r.guarantee, r.owner, r.executions, r.crashes, r.created_at, r.claimed_at,
    r.lease_for, r.lease_until, r.ended_at, r.expires_at, r.late_until, r.scheme,
    r.digest, r.fields, r.reference, r.reason,
    r.result, c.now
FROM (SELECT * FROM begun UNION ALL SELECT * FROM seen) AS r CROSS JOIN clock AS c;

-- claim --
-- All that a claim can come to: take over only what nobody has locked and what is
-- still as it was read; insert only where the read found nothing: so nobody waits for
-- another's transaction. The last column says that the key was free but is somebody
-- else's by now, and no row says so, too: ask again.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
), seen AS MATERIALIZED (
    SELECT r.*, CASE
        WHEN r.expires_at <= c.now THEN
            CASE WHEN r.late_until > c.now THEN NULL ELSE 'anew' END
        WHEN r.status = 4 THEN 'again'
        WHEN r.status = 1
            AND r.owner <> $5::BYTEA
            AND c.now >= r.lease_until + r.lease_for / 3
            AND r.lease_until = $9::FLOAT8
            AND r.scheme = $10::TEXT
            AND r.digest = $11::BYTEA
        THEN CASE
            WHEN r.guarantee = 3 THEN 'lease-ended'
            WHEN r.crashes + 1 >= $8::INT4 THEN 'parked'
            ELSE 'over'
            END
        END AS way
    FROM keyonce_records AS r CROSS JOIN clock AS c
    WHERE r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
), held AS MATERIALIZED (
    SELECT s.way
    FROM keyonce_records AS r CROSS JOIN seen AS s
    WHERE s.way IS NOT NULL
        AND r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
        AND r.status = s.status
        AND r.owner = s.owner
        AND r.lease_until IS NOT DISTINCT FROM s.lease_until
    FOR UPDATE OF r SKIP LOCKED
), ended AS (
    UPDATE keyonce_records AS r SET
        status = 3,
        crashes = r.crashes + 1,
        ended_at = c.now,
        reason = h.way
    FROM held AS h CROSS JOIN clock AS c
    WHERE h.way IN ('lease-ended', 'parked')
        AND r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
    RETURNING r.*
), taken AS (
    UPDATE keyonce_records AS r SET
        status = 1,
        guarantee = $6::INT2,
        owner = $5::BYTEA,
        executions = CASE WHEN h.way = 'anew' THEN 1 ELSE r.executions + 1 END,
        crashes = CASE WHEN h.way = 'over' THEN r.crashes + 1 ELSE 0 END,
        created_at = CASE WHEN h.way = 'anew' THEN c.now ELSE r.created_at END,
        claimed_at = c.now,
        lease_for = $7::FLOAT8,
        lease_until = c.now + $7::FLOAT8,
        ended_at = NULL,
        expires_at = NULL,
        late_until = NULL,
        scheme = $10::TEXT,
        digest = $11::BYTEA,
        fields = $12::BYTEA,
        reference = NULL,
        reason = NULL,
        result = NULL
    FROM held AS h CROSS JOIN clock AS c
    WHERE h.way IN ('anew', 'again', 'over')
        AND r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
    RETURNING r.*
), begun AS (
    INSERT INTO keyonce_records (
        status, guarantee, owner, executions, crashes, created_at, claimed_at,
        lease_for, lease_until, scheme, digest, fields, scope, operation, key
    )
    SELECT
        1, $6::INT2, $5::BYTEA, 1, 0, c.now, c.now,
        $7::FLOAT8, c.now + $7::FLOAT8, $10::TEXT, $11::BYTEA, $12::BYTEA,
        $2::TEXT, $3::TEXT, $4::TEXT
    FROM clock AS c
    WHERE NOT EXISTS (SELECT 1 FROM seen)
    ON CONFLICT (scope, operation, key) DO NOTHING
    RETURNING *
), written AS (
    SELECT * FROM begun
    UNION ALL SELECT * FROM taken
    UNION ALL SELECT * FROM ended
)
SELECT
    w.status, w.guarantee, w.owner, w.executions, w.crashes, w.created_at, w.claimed_at,
    w.lease_for, w.lease_until, w.ended_at, w.expires_at, w.late_until, w.scheme,
    w.digest, w.fields, w.reference, w.reason,
    w.result, c.now, FALSE
FROM written AS w CROSS JOIN clock AS c
UNION ALL
SELECT
    s.status, s.guarantee, s.owner, s.executions, s.crashes, s.created_at, s.claimed_at,
    s.lease_for, s.lease_until, s.ended_at, s.expires_at, s.late_until, s.scheme,
    s.digest, s.fields, s.reference, s.reason,
    s.result, c.now, s.way IS NOT NULL
FROM seen AS s CROSS JOIN clock AS c
WHERE NOT EXISTS (SELECT 1 FROM written);

-- complete --
-- Gives the record without its result, or no row: somebody else holds it, or nobody.
UPDATE keyonce_records AS r SET
    status = 2,
    crashes = 0,
    lease_until = NULL,
    ended_at = c.now,
    expires_at = c.now + $7::FLOAT8,
    late_until = c.now + $7::FLOAT8 + $8::FLOAT8,
    reference = coalesce(nullif($9::TEXT, ''), r.reference),
    reason = NULL,
    result = $6::BYTEA
FROM (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
) AS c
WHERE r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
    AND r.owner = $5::BYTEA AND r.status IN (1, 3)
RETURNING
    r.status, r.guarantee, r.owner, r.executions, r.crashes, r.created_at, r.claimed_at,
    r.lease_for, r.lease_until, r.ended_at, r.expires_at, r.late_until, r.scheme,
    r.digest, r.fields, r.reference, r.reason,
    NULL::BYTEA, c.now;

-- release --
UPDATE keyonce_records AS r SET
    status = 4,
    crashes = 0,
    lease_until = NULL,
    ended_at = c.now,
    expires_at = c.now + $7::FLOAT8,
    scheme = NULL,
    digest = NULL,
    fields = NULL,
    reason = $6::TEXT
FROM (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
) AS c
WHERE r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
    AND r.owner = $5::BYTEA AND r.status = 1
RETURNING
    r.status, r.guarantee, r.owner, r.executions, r.crashes, r.created_at, r.claimed_at,
    r.lease_for, r.lease_until, r.ended_at, r.expires_at, r.late_until, r.scheme,
    r.digest, r.fields, r.reference, r.reason,
    NULL::BYTEA, c.now;

-- abandon --
UPDATE keyonce_records AS r SET
    status = 3,
    ended_at = c.now,
    reason = $6::TEXT
FROM (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
) AS c
WHERE r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
    AND r.owner = $5::BYTEA AND r.status = 1
RETURNING
    r.status, r.guarantee, r.owner, r.executions, r.crashes, r.created_at, r.claimed_at,
    r.lease_for, r.lease_until, r.ended_at, r.expires_at, r.late_until, r.scheme,
    r.digest, r.fields, r.reference, r.reason,
    NULL::BYTEA, c.now;

-- renew --
UPDATE keyonce_records AS r SET
    lease_until = c.now + r.lease_for
FROM (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
) AS c
WHERE r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
    AND r.owner = $5::BYTEA AND r.status = 1
RETURNING
    r.status, r.guarantee, r.owner, r.executions, r.crashes, r.created_at, r.claimed_at,
    r.lease_for, r.lease_until, r.ended_at, r.expires_at, r.late_until, r.scheme,
    r.digest, r.fields, r.reference, r.reason,
    NULL::BYTEA, c.now;

-- lock_record --
SELECT
    status, guarantee, owner, executions, crashes, created_at, claimed_at, lease_for,
    lease_until, ended_at, expires_at, late_until, scheme, digest, fields, reference,
    reason,
    result, coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8)
FROM keyonce_records
WHERE scope = $2::TEXT AND operation = $3::TEXT AND key = $4::TEXT
FOR UPDATE;

-- put_record --
UPDATE keyonce_records SET
    status = $4::INT2, guarantee = $5::INT2, owner = $6::BYTEA,
    executions = $7::INT4, crashes = $8::INT4, created_at = $9::FLOAT8,
    claimed_at = $10::FLOAT8, lease_for = $11::FLOAT8, lease_until = $12::FLOAT8,
    ended_at = $13::FLOAT8, expires_at = $14::FLOAT8, late_until = $15::FLOAT8,
    scheme = $16::TEXT, digest = $17::BYTEA, fields = $18::BYTEA,
    reference = $19::TEXT, reason = $20::TEXT, result = $21::BYTEA
WHERE scope = $1::TEXT AND operation = $2::TEXT AND key = $3::TEXT;

-- insert_audit --
INSERT INTO keyonce_audits (
    at, actor, action, scope, operation, key, reason, before
) VALUES (
    $1::FLOAT8, $2::TEXT, $3::TEXT, $4::TEXT, $5::TEXT, $6::TEXT, $7::TEXT, $8::TEXT
);

-- list_audits --
SELECT at, actor, action, scope, operation, key, reason, before
FROM keyonce_audits
WHERE $1::TEXT IS NULL
    OR (scope = $1::TEXT AND operation = $2::TEXT AND key = $3::TEXT)
ORDER BY id DESC;

-- list_records --
-- $8 has a bit for each status that may be given, or is -1.
SELECT
    scope, operation, key,
    status, guarantee, owner, executions, crashes, created_at, claimed_at, lease_for,
    lease_until, ended_at, expires_at, late_until, scheme, digest, fields, reference,
    reason,
    NULL::BYTEA, coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8)
FROM keyonce_records
WHERE (scope, operation, key) > ($2::TEXT, $3::TEXT, $4::TEXT)
    AND ($5::TEXT IS NULL OR scope = $5::TEXT)
    AND ($6::TEXT IS NULL OR operation = $6::TEXT)
    AND ($7::TEXT IS NULL OR key = $7::TEXT)
    AND ($8::INT4 >> status) & 1 = 1
ORDER BY scope, operation, key
LIMIT $9::INT4;

-- list_open --
-- The same for those that run, are stuck or unknown: they are few.
WITH few AS MATERIALIZED (
    SELECT * FROM keyonce_records WHERE status IN (1, 3)
)
SELECT
    scope, operation, key,
    status, guarantee, owner, executions, crashes, created_at, claimed_at, lease_for,
    lease_until, ended_at, expires_at, late_until, scheme, digest, fields, reference,
    reason,
    NULL::BYTEA, coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8)
FROM few
WHERE (scope, operation, key) > ($2::TEXT, $3::TEXT, $4::TEXT)
    AND ($5::TEXT IS NULL OR scope = $5::TEXT)
    AND ($6::TEXT IS NULL OR operation = $6::TEXT)
    AND ($7::TEXT IS NULL OR key = $7::TEXT)
    AND ($8::INT4 >> status) & 1 = 1
ORDER BY scope, operation, key
LIMIT $9::INT4;

-- count_records --
-- Work that nobody may run again counts as unknown once its lease has ended.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
), counted AS (
    SELECT
        CASE
            WHEN r.status = 1 AND r.guarantee = 3
                AND c.now >= r.lease_until + r.lease_for / 3 THEN 3
            ELSE r.status
        END AS status,
        count(*) AS records,
        least(min(r.claimed_at), min(c.now)) AS oldest
    FROM keyonce_records AS r CROSS JOIN clock AS c
    GROUP BY 1
)
SELECT n.status, n.records, n.oldest, c.now, pg_total_relation_size('keyonce_records')
FROM clock AS c LEFT JOIN counted AS n ON TRUE;

-- purge --
-- What somebody else is at work on is left for the next time.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
), due AS MATERIALIZED (
    SELECT r.scope, r.operation, r.key, r.late_until > c.now AS late
    FROM keyonce_records AS r CROSS JOIN clock AS c
    WHERE r.expires_at <= (SELECT now FROM clock) AND r.status IN (2, 4, 5)
    ORDER BY r.expires_at
    LIMIT $2::INT4
    FOR UPDATE OF r SKIP LOCKED
), gone AS (
    DELETE FROM keyonce_records AS r USING due AS d
    WHERE r.scope = d.scope AND r.operation = d.operation AND r.key = d.key
        AND d.late IS NOT TRUE
    RETURNING 1
), entombed AS (
    UPDATE keyonce_records AS r SET
        status = 5,
        expires_at = r.late_until,
        scheme = NULL,
        digest = NULL,
        fields = NULL,
        result = NULL
    FROM due AS d
    WHERE r.scope = d.scope AND r.operation = d.operation AND r.key = d.key
        AND d.late
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM entombed);

-- server --
SELECT
    current_setting('server_version_num')::INT4,
    current_setting('server_encoding'),
    pg_is_in_recovery(),
    current_setting('transaction_read_only')::BOOL,
    to_regclass('keyonce_schema') IS NOT NULL;

-- schema_version --
SELECT coalesce(max(version), 0) FROM keyonce_schema;

-- lock_schema --
SELECT 1 FROM pg_advisory_xact_lock(30229394742993765);

-- make_schema --
CREATE TABLE IF NOT EXISTS keyonce_schema (
    version INT4 PRIMARY KEY,
    name TEXT NOT NULL
);

-- note_version --
INSERT INTO keyonce_schema (version, name) VALUES ($1::INT4, $2::TEXT);

-- settings --
SELECT
    current_setting('server_version'),
    current_setting('fsync')::BOOL,
    current_setting('synchronous_commit'),
    current_setting('synchronous_standby_names'),
    current_setting('default_transaction_isolation'),
    pg_is_in_recovery(),
    current_setting('transaction_read_only')::BOOL,
    extract(EPOCH FROM clock_timestamp())::FLOAT8;

-- answering --
SELECT pg_backend_pid();
