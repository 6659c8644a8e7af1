-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- Each verb is one statement: one round trip, one transaction, and nothing is kept in
-- the session, so that all of it works through a pooler in transaction mode. $1 is the
-- time in tests; where it is NULL the clock of this server counts.
--
-- A lease is renewed beside the record, in keyonce_renewals, so that a transaction of
-- the user's that completes the record is not in the way of a renewal, nor a renewal
-- in its. What is read as `lease_until` of work in progress is the later of both.
--
-- A completed record has a result, any other may have steps: so both are read in one
-- place, and whoever has no steps reads not a byte more.

-- find --
SELECT
    r.status, r.guarantee, r.owner, r.executions, r.crashes, r.created_at, r.claimed_at,
    r.lease_for,
    CASE WHEN r.status = 1 THEN greatest(r.lease_until, (
        SELECT n.lease_until FROM keyonce_renewals AS n
        WHERE n.scope = r.scope AND n.operation = r.operation AND n.key = r.key
            AND n.owner = r.owner
    )) ELSE r.lease_until END,
    r.ended_at, r.expires_at, r.late_until, r.scheme, r.digest, r.fields, r.reference,
    r.reason,
    CASE WHEN r.status <> 2 THEN r.steps
        WHEN r.result IS NULL
        THEN keyonce_outcome_of(r.kept_in,
            keyonce_mark(r.scope, r.operation, r.key, r.owner))
        ELSE r.result END,
    coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8)
FROM keyonce_records AS r
WHERE r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT;

-- begin --
-- Read, and insert only where the read found nothing: what claims of new keys and of
-- finished ones come down to. No row: somebody inserted the key meanwhile.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
), seen AS MATERIALIZED (
    SELECT r.*, CASE WHEN r.status = 1 THEN greatest(r.lease_until, (
        SELECT n.lease_until FROM keyonce_renewals AS n
        WHERE n.scope = r.scope AND n.operation = r.operation AND n.key = r.key
            AND n.owner = r.owner
    )) ELSE r.lease_until END AS until
    FROM keyonce_records AS r
    WHERE r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
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
    r.lease_for, r.until, r.ended_at, r.expires_at, r.late_until, r.scheme,
    r.digest, r.fields, r.reference, r.reason,
    CASE WHEN r.status <> 2 THEN r.steps
        WHEN r.result IS NULL
        THEN keyonce_outcome_of(r.kept_in,
            keyonce_mark(r.scope, r.operation, r.key, r.owner))
        ELSE r.result END,
    c.now
FROM (
    SELECT b.*, b.lease_until AS until FROM begun AS b UNION ALL SELECT * FROM seen
) AS r CROSS JOIN clock AS c;

-- begin_many --
-- The same for many keys, in the order of these, so that two batches never wait for
-- each other. No row for a key: somebody inserted it meanwhile.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
), asked AS MATERIALIZED (
    SELECT
        a.place, a.scope COLLATE "C" AS scope, a.operation COLLATE "C" AS operation,
        a.key COLLATE "C" AS key, a.owner, a.guarantee, a.lease_for, a.scheme,
        a.digest, a.fields
    FROM unnest(
        $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BYTEA[], $6::INT4[], $7::FLOAT8[],
        $8::TEXT[], $9::BYTEA[], $10::BYTEA[]
    ) WITH ORDINALITY AS a (
        scope, operation, key, owner, guarantee, lease_for, scheme, digest, fields,
        place
    )
), seen AS MATERIALIZED (
    SELECT r.*, CASE WHEN r.status = 1 THEN greatest(r.lease_until, (
        SELECT n.lease_until FROM keyonce_renewals AS n
        WHERE n.scope = r.scope AND n.operation = r.operation AND n.key = r.key
            AND n.owner = r.owner
    )) ELSE r.lease_until END AS until
    FROM asked AS a INNER JOIN keyonce_records AS r
        ON r.scope = a.scope AND r.operation = a.operation AND r.key = a.key
), begun AS (
    INSERT INTO keyonce_records (
        status, guarantee, owner, executions, crashes, created_at, claimed_at,
        lease_for, lease_until, scheme, digest, fields, scope, operation, key
    )
    SELECT
        1, a.guarantee, a.owner, 1, 0, c.now, c.now,
        a.lease_for, c.now + a.lease_for, a.scheme, a.digest, a.fields,
        a.scope, a.operation, a.key
    FROM asked AS a CROSS JOIN clock AS c
    WHERE NOT EXISTS (
        SELECT 1 FROM seen AS s
        WHERE s.scope = a.scope AND s.operation = a.operation AND s.key = a.key
    )
    ORDER BY a.scope, a.operation, a.key
    ON CONFLICT (scope, operation, key) DO NOTHING
    RETURNING *
)
SELECT
    r.status, r.guarantee, r.owner, r.executions, r.crashes, r.created_at, r.claimed_at,
    r.lease_for, r.until, r.ended_at, r.expires_at, r.late_until, r.scheme,
    r.digest, r.fields, r.reference, r.reason,
    CASE WHEN r.status <> 2 THEN r.steps
        WHEN r.result IS NULL
        THEN keyonce_outcome_of(r.kept_in,
            keyonce_mark(r.scope, r.operation, r.key, r.owner))
        ELSE r.result END,
    c.now, a.place
FROM (
    SELECT b.*, b.lease_until AS until FROM begun AS b UNION ALL SELECT * FROM seen
) AS r CROSS JOIN clock AS c INNER JOIN asked AS a
    ON a.scope = r.scope AND a.operation = r.operation AND a.key = r.key;

-- claim --
-- All that a claim can come to: take over only what nobody has locked and what is
-- still as it was read; insert only where the read found nothing: so nobody waits for
-- another's transaction. The last column says that the key was free but is somebody
-- else's by now, and no row says so, too: ask again.
--
-- A lease is not over because this statement's snapshot says so: the owner may have
-- renewed since. So whoever takes over holds the record's lock against renewals, and
-- then writes the end that it saw into the owner's renewal: `fenced` meets every
-- renewal that was committed, also those that the snapshot does not know.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
), known AS MATERIALIZED (
    SELECT r.*, CASE WHEN r.status = 1 THEN greatest(r.lease_until, (
        SELECT n.lease_until FROM keyonce_renewals AS n
        WHERE n.scope = r.scope AND n.operation = r.operation AND n.key = r.key
            AND n.owner = r.owner
    )) ELSE r.lease_until END AS until
    FROM keyonce_records AS r
    WHERE r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
), seen AS MATERIALIZED (
    SELECT r.*, CASE
        WHEN r.expires_at <= c.now THEN
            CASE WHEN r.late_until > c.now THEN NULL ELSE 'anew' END
        WHEN r.status = 4 THEN 'again'
        WHEN r.status = 1
            AND r.owner <> $5::BYTEA
            AND c.now >= r.until + r.lease_for / 3
            AND r.until = $9::FLOAT8
            AND r.scheme = $10::TEXT
            AND r.digest = $11::BYTEA
        THEN CASE
            WHEN r.guarantee = 3 THEN 'lease-ended'
            WHEN r.crashes + 1 >= $8::INT4 THEN 'parked'
            ELSE 'over'
            END
        END AS way
    FROM known AS r CROSS JOIN clock AS c
), held AS MATERIALIZED (
    SELECT s.way, s.owner, s.until
    FROM keyonce_records AS r CROSS JOIN seen AS s
    WHERE s.way IS NOT NULL
        AND r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
        AND r.status = s.status
        AND r.owner = s.owner
        AND r.lease_until IS NOT DISTINCT FROM s.lease_until
    FOR UPDATE OF r SKIP LOCKED
), fenced AS (
    INSERT INTO keyonce_renewals AS n (lease_until, scope, operation, key, owner)
    SELECT h.until, $2::TEXT, $3::TEXT, $4::TEXT, h.owner
    FROM held AS h
    WHERE h.way IN ('lease-ended', 'parked', 'over')
    ON CONFLICT (scope, operation, key) DO UPDATE SET
        owner = excluded.owner,
        lease_until = excluded.lease_until
    WHERE n.owner <> excluded.owner OR n.lease_until <= excluded.lease_until
    RETURNING 1
), ended AS (
    UPDATE keyonce_records AS r SET
        status = 3,
        crashes = r.crashes + 1,
        lease_until = h.until,
        ended_at = c.now,
        reason = h.way
    FROM held AS h CROSS JOIN clock AS c CROSS JOIN fenced
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
        reference = CASE WHEN h.way <> 'anew' THEN r.reference END,
        reason = NULL,
        result = NULL,
        kept_in = NULL,
        steps = CASE WHEN h.way <> 'anew' THEN r.steps END,
        noted = 0,
        awaited = h.way = 'over' AND r.awaited
    FROM held AS h CROSS JOIN clock AS c
    WHERE (
            h.way IN ('anew', 'again')
            OR (h.way = 'over' AND EXISTS (SELECT 1 FROM fenced))
        )
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
    w.steps, c.now, FALSE,
    CASE WHEN w.awaited AND w.status = 3 THEN pg_notify('keyonce', encode(sha256(convert_to(
        w.scope || chr(31) || w.operation || chr(31) || w.key, 'UTF8')), 'hex'))
    IS NOT NULL END
FROM written AS w CROSS JOIN clock AS c
UNION ALL
SELECT
    s.status, s.guarantee, s.owner, s.executions, s.crashes, s.created_at, s.claimed_at,
    s.lease_for, s.until, s.ended_at, s.expires_at, s.late_until, s.scheme,
    s.digest, s.fields, s.reference, s.reason,
    CASE WHEN s.status <> 2 THEN s.steps
        WHEN s.result IS NULL
        THEN keyonce_outcome_of(s.kept_in,
            keyonce_mark(s.scope, s.operation, s.key, s.owner))
        ELSE s.result END,
    c.now, s.way IS NOT NULL, NULL::BOOL
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
    result = $6::BYTEA,
    steps = NULL
FROM (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
) AS c
WHERE r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
    AND r.owner = $5::BYTEA AND r.status IN (1, 3)
RETURNING
    r.status, r.guarantee, r.owner, r.executions, r.crashes, r.created_at, r.claimed_at,
    r.lease_for, r.lease_until, r.ended_at, r.expires_at, r.late_until, r.scheme,
    r.digest, r.fields, r.reference, r.reason,
    NULL::BYTEA, c.now,
    CASE WHEN r.awaited THEN pg_notify('keyonce', encode(sha256(convert_to(
        r.scope || chr(31) || r.operation || chr(31) || r.key, 'UTF8')), 'hex'))
    IS NOT NULL END;

-- complete_apart --
-- The same, with the outcome in the partition of the time at which it expires; where
-- there is none, or it never expires, with the record. $10 is how long partitions are.
-- Whoever waits for the end of the record is told.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
), place AS MATERIALIZED (
    SELECT CASE WHEN EXISTS (
        SELECT 1 FROM pg_class
        WHERE oid = to_regclass(format(
            'keyonce_outcomes_%s_%s',
            floor((c.now + $7::FLOAT8) / $10::FLOAT8)::INT8 * $10::FLOAT8::INT8,
            (floor((c.now + $7::FLOAT8) / $10::FLOAT8)::INT8 + 1) * $10::FLOAT8::INT8
        )) AND relispartition
    ) THEN c.now + $7::FLOAT8 END AS kept_in
    FROM clock AS c
), done AS (
    UPDATE keyonce_records AS r SET
        status = 2,
        crashes = 0,
        lease_until = NULL,
        ended_at = c.now,
        expires_at = c.now + $7::FLOAT8,
        late_until = c.now + $7::FLOAT8 + $8::FLOAT8,
        reference = coalesce(nullif($9::TEXT, ''), r.reference),
        reason = NULL,
        result = CASE WHEN p.kept_in IS NULL THEN $6::BYTEA END,
        kept_in = p.kept_in,
        steps = NULL
    FROM clock AS c CROSS JOIN place AS p
    WHERE r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
        AND r.owner = $5::BYTEA AND r.status IN (1, 3)
    RETURNING r.*
), kept AS (
    INSERT INTO keyonce_outcomes (kept_in, mark, result)
    SELECT d.kept_in, keyonce_mark(d.scope, d.operation, d.key, d.owner), $6::BYTEA
    FROM done AS d
    WHERE d.kept_in IS NOT NULL
)
SELECT
    d.status, d.guarantee, d.owner, d.executions, d.crashes, d.created_at, d.claimed_at,
    d.lease_for, d.lease_until, d.ended_at, d.expires_at, d.late_until, d.scheme,
    d.digest, d.fields, d.reference, d.reason,
    NULL::BYTEA, c.now,
    CASE WHEN d.awaited THEN pg_notify('keyonce', encode(sha256(convert_to(
        d.scope || chr(31) || d.operation || chr(31) || d.key, 'UTF8')), 'hex'))
    IS NOT NULL END
FROM done AS d CROSS JOIN clock AS c;

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
    NULL::BYTEA, c.now,
    CASE WHEN r.awaited THEN pg_notify('keyonce', encode(sha256(convert_to(
        r.scope || chr(31) || r.operation || chr(31) || r.key, 'UTF8')), 'hex'))
    IS NOT NULL END;

-- abandon --
UPDATE keyonce_records AS r SET
    status = 3,
    lease_until = greatest(r.lease_until, (
        SELECT n.lease_until FROM keyonce_renewals AS n
        WHERE n.scope = r.scope AND n.operation = r.operation AND n.key = r.key
            AND n.owner = r.owner
    )),
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
    NULL::BYTEA, c.now,
    CASE WHEN r.awaited THEN pg_notify('keyonce', encode(sha256(convert_to(
        r.scope || chr(31) || r.operation || chr(31) || r.key, 'UTF8')), 'hex'))
    IS NOT NULL END;

-- renew --
-- The record is locked against whoever takes it over or settles it, but not against
-- the owner's own transaction that has completed it and is still open.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
), held AS MATERIALIZED (
    SELECT r.*
    FROM keyonce_records AS r
    WHERE r.scope = $2::TEXT AND r.operation = $3::TEXT AND r.key = $4::TEXT
        AND r.owner = $5::BYTEA AND r.status = 1
    FOR KEY SHARE OF r
), renewed AS (
    INSERT INTO keyonce_renewals (lease_until, scope, operation, key, owner)
    SELECT c.now + h.lease_for, $2::TEXT, $3::TEXT, $4::TEXT, $5::BYTEA
    FROM held AS h CROSS JOIN clock AS c
    ON CONFLICT (scope, operation, key) DO UPDATE SET
        owner = excluded.owner,
        lease_until = excluded.lease_until
    RETURNING lease_until
)
SELECT
    r.status, r.guarantee, r.owner, r.executions, r.crashes, r.created_at, r.claimed_at,
    r.lease_for, greatest(r.lease_until, n.lease_until), r.ended_at, r.expires_at,
    r.late_until, r.scheme, r.digest, r.fields, r.reference, r.reason,
    r.steps, c.now
FROM held AS r CROSS JOIN renewed AS n CROSS JOIN clock AS c;

-- note --
-- In the record itself: so either a claim that takes over finds the note, or the note
-- finds the claim. One that is older than the last changes nothing. No row: the owner
-- holds the key no more.
UPDATE keyonce_records AS r SET
    steps = CASE WHEN $7::INT4 >= r.noted
        THEN coalesce($5::BYTEA, r.steps) ELSE r.steps END,
    reference = CASE WHEN $7::INT4 >= r.noted
        THEN coalesce(nullif($6::TEXT, ''), r.reference) ELSE r.reference END,
    noted = greatest(r.noted, $7::INT4)
WHERE r.scope = $1::TEXT AND r.operation = $2::TEXT AND r.key = $3::TEXT
    AND r.owner = $4::BYTEA AND r.status IN (1, 3)
RETURNING 1;

-- announce --
-- Marks a record that is in progress, unless somebody has it locked; what is marked
-- already is only read. The statement that ends the work notifies where it finds the
-- mark: a notification in every commit would cost a quarter of the commits. Work of
-- guarantee 1 ends in a transaction of the user's, which a write of ours to its record
-- could make fail.
WITH held AS MATERIALIZED (
    SELECT r.scope, r.operation, r.key
    FROM keyonce_records AS r
    WHERE r.scope = $1::TEXT AND r.operation = $2::TEXT AND r.key = $3::TEXT
        AND r.status = 1 AND r.guarantee <> 1 AND NOT r.awaited
    FOR UPDATE SKIP LOCKED
), marked AS (
    UPDATE keyonce_records AS r SET awaited = TRUE
    FROM held AS h
    WHERE r.scope = h.scope AND r.operation = h.operation AND r.key = h.key
    RETURNING 1
)
SELECT EXISTS (SELECT 1 FROM marked) OR EXISTS (
    SELECT 1 FROM keyonce_records AS r
    WHERE r.scope = $1::TEXT AND r.operation = $2::TEXT AND r.key = $3::TEXT
        AND r.status = 1 AND r.awaited
);

-- lock_record --
-- What is read behind this lock, by a statement of its own, is how things are.
SELECT 1 FROM keyonce_records
WHERE scope = $1::TEXT AND operation = $2::TEXT AND key = $3::TEXT
FOR UPDATE;

-- limit_locks --
-- Until the transaction ends, or the savepoint is rolled back. Gives the limit before.
WITH before AS MATERIALIZED (SELECT current_setting('lock_timeout') AS lock_timeout)
SELECT lock_timeout, set_config('lock_timeout', $1::TEXT, TRUE) FROM before;

-- our_place --
-- Which running server, which of its databases, which tables; and their schema. A copy
-- of this database, restored or replicated, is served by another process.
SELECT
    extract(EPOCH FROM pg_postmaster_start_time())::FLOAT8,
    (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())::INT8,
    c.oid::INT8,
    quote_ident(n.nspname)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass('keyonce_records');

-- their_place --
-- The same, seen by somebody else. It names no table, so that it fails nowhere.
SELECT
    extract(EPOCH FROM pg_postmaster_start_time())::FLOAT8,
    (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())::INT8,
    to_regclass($1::TEXT)::OID::INT8;

-- put_record --
UPDATE keyonce_records SET
    status = $4::INT2, guarantee = $5::INT2, owner = $6::BYTEA,
    executions = $7::INT4, crashes = $8::INT4, created_at = $9::FLOAT8,
    claimed_at = $10::FLOAT8, lease_for = $11::FLOAT8, lease_until = $12::FLOAT8,
    ended_at = $13::FLOAT8, expires_at = $14::FLOAT8, late_until = $15::FLOAT8,
    scheme = $16::TEXT, digest = $17::BYTEA, fields = $18::BYTEA,
    reference = $19::TEXT, reason = $20::TEXT, result = $21::BYTEA,
    kept_in = NULL, steps = $22::BYTEA
WHERE scope = $1::TEXT AND operation = $2::TEXT AND key = $3::TEXT
RETURNING
    CASE WHEN awaited THEN pg_notify('keyonce', encode(sha256(convert_to(
        scope || chr(31) || operation || chr(31) || key, 'UTF8')), 'hex'))
    IS NOT NULL END;

-- delete_record --
-- An outcome apart from it stays in its partition: its mark has the owner's token, so
-- nobody finds it any more.
DELETE FROM keyonce_records
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
    r.scope, r.operation, r.key,
    r.status, r.guarantee, r.owner, r.executions, r.crashes, r.created_at, r.claimed_at,
    r.lease_for,
    CASE WHEN r.status = 1 THEN greatest(r.lease_until, (
        SELECT n.lease_until FROM keyonce_renewals AS n
        WHERE n.scope = r.scope AND n.operation = r.operation AND n.key = r.key
            AND n.owner = r.owner
    )) ELSE r.lease_until END,
    r.ended_at, r.expires_at, r.late_until, r.scheme, r.digest, r.fields, r.reference,
    r.reason,
    NULL::BYTEA, coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8)
FROM keyonce_records AS r
WHERE (r.scope, r.operation, r.key) > ($2::TEXT, $3::TEXT, $4::TEXT)
    AND ($5::TEXT IS NULL OR r.scope = $5::TEXT)
    AND ($6::TEXT IS NULL OR r.operation = $6::TEXT)
    AND ($7::TEXT IS NULL OR r.key = $7::TEXT)
    AND ($8::INT4 >> r.status) & 1 = 1
ORDER BY r.scope, r.operation, r.key
LIMIT $9::INT4;

-- list_open --
-- The same for those that run, are stuck or unknown: they are few.
WITH few AS MATERIALIZED (
    SELECT * FROM keyonce_records WHERE status IN (1, 3)
)
SELECT
    r.scope, r.operation, r.key,
    r.status, r.guarantee, r.owner, r.executions, r.crashes, r.created_at, r.claimed_at,
    r.lease_for,
    CASE WHEN r.status = 1 THEN greatest(r.lease_until, (
        SELECT n.lease_until FROM keyonce_renewals AS n
        WHERE n.scope = r.scope AND n.operation = r.operation AND n.key = r.key
            AND n.owner = r.owner
    )) ELSE r.lease_until END,
    r.ended_at, r.expires_at, r.late_until, r.scheme, r.digest, r.fields, r.reference,
    r.reason,
    NULL::BYTEA, coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8)
FROM few AS r
WHERE (r.scope, r.operation, r.key) > ($2::TEXT, $3::TEXT, $4::TEXT)
    AND ($5::TEXT IS NULL OR r.scope = $5::TEXT)
    AND ($6::TEXT IS NULL OR r.operation = $6::TEXT)
    AND ($7::TEXT IS NULL OR r.key = $7::TEXT)
    AND ($8::INT4 >> r.status) & 1 = 1
ORDER BY r.scope, r.operation, r.key
LIMIT $9::INT4;

-- count_open --
-- Work that nobody may run again counts as unknown once its lease has ended.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
)
SELECT
    CASE
        WHEN r.status = 1 AND r.guarantee = 3
            AND c.now >= r.lease_until + r.lease_for / 3
            AND c.now >= greatest(r.lease_until, (
                SELECT n.lease_until FROM keyonce_renewals AS n
                WHERE n.scope = r.scope AND n.operation = r.operation
                    AND n.key = r.key AND n.owner = r.owner
            )) + r.lease_for / 3 THEN 3
        ELSE r.status
    END,
    count(*), least(min(r.claimed_at), min(c.now)), 0::INT8
FROM keyonce_records AS r CROSS JOIN clock AS c
WHERE r.status IN (1, 3)
GROUP BY 1;

-- count_ended --
-- $2 is the share of the table that is read, in percent: whole pages by chance.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
)
SELECT
    r.status, count(*), least(min(r.claimed_at), min(c.now)),
    count(*) FILTER (WHERE r.expires_at <= c.now)
FROM keyonce_records AS r TABLESAMPLE SYSTEM ($2::FLOAT8) CROSS JOIN clock AS c
WHERE r.status NOT IN (1, 3)
GROUP BY 1;

-- storage --
-- The time; pages of the table; bytes of records, of outcomes apart from them, and
-- of indexes.
SELECT
    coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8),
    pg_relation_size(r.oid) / current_setting('block_size')::INT8,
    pg_table_size(r.oid) - t.size + pg_table_size(n.oid),
    t.size + p.size,
    pg_indexes_size(r.oid) + pg_indexes_size(n.oid) + p.indexes
FROM pg_class AS r
CROSS JOIN (SELECT to_regclass('keyonce_renewals') AS oid) AS n
CROSS JOIN LATERAL (
    SELECT coalesce(pg_total_relation_size(nullif(r.reltoastrelid, 0)), 0) AS size
) AS t
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(pg_table_size(i.inhrelid)), 0)::INT8 AS size,
        coalesce(sum(pg_indexes_size(i.inhrelid)), 0)::INT8 AS indexes
    FROM pg_inherits AS i WHERE i.inhparent = to_regclass('keyonce_outcomes')
) AS p
WHERE r.oid = to_regclass('keyonce_records');

-- purge --
-- What somebody else is at work on is left for the next time. $3 is where the batch
-- before ended: what it has left dead in the index is not walked over again.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
), due AS MATERIALIZED (
    SELECT r.scope, r.operation, r.key, r.expires_at, r.late_until > c.now AS late
    FROM keyonce_records AS r CROSS JOIN clock AS c
    WHERE r.expires_at >= $3::FLOAT8 AND r.expires_at <= (SELECT now FROM clock)
        AND r.status IN (2, 4, 5)
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
        result = NULL,
        kept_in = NULL
    FROM due AS d
    WHERE r.scope = d.scope AND r.operation = d.operation AND r.key = d.key
        AND d.late
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM gone) + (SELECT count(*) FROM entombed),
    (SELECT max(d.expires_at) FROM due AS d);

-- purge_renewals --
-- Renewals of work that has ended. None that is younger than this statement: its
-- record may be younger, too.
WITH clock AS MATERIALIZED (
    SELECT coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8) AS now
), over AS MATERIALIZED (
    SELECT n.scope, n.operation, n.key
    FROM keyonce_renewals AS n CROSS JOIN clock AS c
    WHERE n.lease_until <= c.now
        AND (
            SELECT r.owner FROM keyonce_records AS r
            WHERE r.scope = n.scope AND r.operation = n.operation AND r.key = n.key
                AND r.status = 1
        ) IS DISTINCT FROM n.owner
    LIMIT $2::INT4
    FOR UPDATE OF n SKIP LOCKED
), gone AS (
    DELETE FROM keyonce_renewals AS n USING over AS o
    WHERE n.scope = o.scope AND n.operation = o.operation AND n.key = o.key
    RETURNING 1
)
SELECT count(*) FROM gone;

-- partitions --
-- What there is, and whether this role may make more.
SELECT
    quote_ident(n.nspname),
    coalesce($1::FLOAT8, extract(EPOCH FROM clock_timestamp())::FLOAT8),
    has_schema_privilege(n.oid, 'CREATE') AND pg_has_role(p.relowner, 'USAGE'),
    ARRAY(
        SELECT c.relname::TEXT
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = p.oid
    )
FROM pg_class AS p JOIN pg_namespace AS n ON n.oid = p.relnamespace
WHERE p.oid = to_regclass('keyonce_outcomes');

-- lock_partitions --
-- Held until the transaction ends; nobody waits for it.
SELECT pg_try_advisory_xact_lock(30229394742993766);

-- server --
SELECT
    current_setting('server_version_num')::INT4,
    current_setting('server_encoding'),
    pg_is_in_recovery(),
    current_setting('transaction_read_only')::BOOL,
    to_regclass('keyonce_schema') IS NOT NULL;

-- applied --
SELECT version, name FROM keyonce_schema ORDER BY version;

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
    extract(EPOCH FROM clock_timestamp())::FLOAT8,
    current_setting('full_page_writes')::BOOL,
    (
        SELECT string_agg(DISTINCT CASE
            WHEN to_regclass(t.name) IS NULL THEN 'the table ' || t.name
            ELSE p.word || ' on ' || t.name
        END, ', ')
        FROM (
            VALUES
                ('keyonce_records', 4),
                ('keyonce_renewals', 4),
                ('keyonce_outcomes', 2),
                ('keyonce_audits', 2),
                ('keyonce_schema', 1)
        ) AS t (name, words)
        INNER JOIN (
            VALUES ('SELECT', 1), ('INSERT', 2), ('UPDATE', 3), ('DELETE', 4)
        ) AS p (word, place) ON p.place <= t.words
        WHERE has_table_privilege(to_regclass(t.name), p.word) IS NOT TRUE
    ),
    has_table_privilege(to_regclass('keyonce_schema'), 'SELECT') IS TRUE;

-- answering --
SELECT pg_backend_pid();
