-- SPDX-FileCopyrightText: 2026 The keyonce authors
-- SPDX-License-Identifier: Apache-2.0
-- Outcomes apart from their records, for stores that drop them by partitions. Which
-- layout an outcome has stands in its record, and every program reads both.

-- Where the outcome of a completed record is when `result` is NULL: the instant at
-- which it expired when it was kept. An earlier program may leave it behind in a
-- record that has a `result` again, or is not completed: there it means nothing.
ALTER TABLE keyonce_records ADD COLUMN IF NOT EXISTS kept_in FLOAT8;

-- Weaker than before.
ALTER TABLE keyonce_records
    DROP CONSTRAINT IF EXISTS keyonce_outcome,
    ADD CONSTRAINT keyonce_outcome
        CHECK ((status = 2) = (result IS NOT NULL) OR kept_in IS NOT NULL);

CREATE TABLE IF NOT EXISTS keyonce_outcomes (
    kept_in FLOAT8 NOT NULL,
    mark INT8 NOT NULL,
    result BYTEA NOT NULL
) PARTITION BY RANGE (kept_in);

ALTER TABLE keyonce_outcomes ALTER COLUMN result SET STORAGE EXTERNAL;

-- Few expire in the same microsecond; and it grows at its end, so its pages are full.
CREATE INDEX IF NOT EXISTS keyonce_kept ON keyonce_outcomes (kept_in);

-- Whose outcome it is. The owner's token is in it, so that what a record pointed to
-- is never found for the next owner of the same key.
CREATE OR REPLACE FUNCTION keyonce_mark(
    scope TEXT, operation TEXT, key TEXT, owner BYTEA
)
RETURNS INT8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ('x' || encode(substring(sha256(
        convert_to(
            octet_length(scope)::TEXT || ' ' || octet_length(operation)::TEXT || ' '
            || scope || operation || key, 'UTF8'
        ) || owner
    ) FROM 1 FOR 8), 'hex'))::BIT(64)::INT8
$$;

-- Planned with the values each time: so it looks at one partition, and locks no
-- other; and whoever reads a record that keeps its outcome itself locks none. It is
-- volatile to see what is committed now: who has waited for a record's lock reads the
-- record of its last holder, whose outcome is younger than the statement's snapshot.
CREATE OR REPLACE FUNCTION keyonce_outcome_of(kept_in FLOAT8, mark INT8)
RETURNS BYTEA LANGUAGE plpgsql VOLATILE STRICT AS $$
DECLARE
    found BYTEA;
BEGIN
    EXECUTE
        'SELECT result FROM keyonce_outcomes WHERE kept_in = $1 AND mark = $2 LIMIT 1'
        INTO found USING kept_in, mark;
    RETURN found;
END
$$;
