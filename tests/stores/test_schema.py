# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which migrations a schema still needs, and what a program may work beside."""

from __future__ import annotations

import re

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.stores.schema import (
    Migration,
    migrations_of,
    outlook,
    require_ready,
    script_of,
    with_options,
)

ONE = Migration(1, "001_pre_a.sql", "-- A comment.\nCREATE TABLE a (b INT);\n")
TWO = Migration(2, "002_post_b.sql", "ALTER TABLE a DROP b;")
THREE = Migration(3, "003_pre_c.sql", "CREATE TABLE c (d INT);")
KNOWN = (ONE, TWO, THREE)
SQL_STORES = ("sqlite", "postgres", "mysql")

TAKES_AWAY = re.compile(
    r"\b(DROP(?! CONSTRAINT)|RENAME|TRUNCATE|DELETE|MODIFY|CHANGE|SET NOT NULL|TYPE)\b",
    re.IGNORECASE,
)


def noted(*migrations):
    return [(each.version, each.name) for each in migrations]


@pytest.mark.parametrize(
    ("done", "to_run", "waiting"),
    [
        ((), (ONE, THREE), (TWO,)),
        ((ONE,), (THREE,), (TWO,)),
        ((ONE, TWO), (THREE,), ()),
        ((ONE, THREE), (), (TWO,)),
        (KNOWN, (), ()),
    ],
)
def test_what_adds_is_to_be_run_and_what_takes_away_waits(done, to_run, waiting):
    found = outlook(noted(*done), KNOWN, "here")

    assert (to_run, waiting) == (found.to_run, found.waiting)
    assert max([0, *(each.version for each in done)]) == found.version


def test_an_operator_runs_both_in_their_order():
    found = outlook([], KNOWN, "here")

    assert KNOWN == found.chosen(contract=True)
    assert (ONE, THREE) == found.chosen(contract=False)


def test_what_a_newer_program_added_is_worked_beside():
    found = outlook([*noted(*KNOWN), (4, "004_pre_more.sql")], KNOWN, "here")

    assert (4, (), ()) == (found.version, found.to_run, found.waiting)


@pytest.mark.parametrize("name", ["004_post_less.sql", "what is this?", ""])
def test_what_a_newer_program_took_away_is_refused_with_the_mend(name):
    applied = [*noted(*KNOWN), (4, name), (5, "005_pre_more.sql")]

    with pytest.raises(ConfigurationError, match=r"version 4.*up to 3.*Install that"):
        outlook(applied, KNOWN, "here")


def test_who_may_not_migrate_is_told_the_command():
    require_ready(outlook(noted(ONE, THREE), KNOWN, "here"))

    for done, words in (((), "is not there"), ((ONE,), "is version 1")):
        with pytest.raises(ConfigurationError, match=rf"{words}.*'keyonce migrate'"):
            require_ready(outlook(noted(*done), KNOWN, "here"))


def test_a_script_is_what_an_administrator_would_type():
    script = script_of((ONE,), "CREATE TABLE v (n INT)", begin="BEGIN;", end="COMMIT;")

    assert [
        *("BEGIN;", "CREATE TABLE v (n INT);", "-- 001_pre_a.sql"),
        "CREATE TABLE a (b INT);",
        "INSERT INTO keyonce_schema (version, name) VALUES (1, '001_pre_a.sql');",
        "COMMIT;",
    ] == [line for line in script.splitlines() if line]


def test_a_file_that_makes_a_constraint_weaker_only_adds():
    sql = "ALTER TABLE a DROP CONSTRAINT b, ADD CONSTRAINT b CHECK (c OR d);"

    assert not takes_away(Migration(9, "009_pre_x.sql", sql))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://h/d", "mysql://h/d"),
        ("mysql://h/d?durability=declared", "mysql://h/d"),
        ("mysql://h/d?a=1&ssl=true&b", "mysql://h/d?ssl=true"),
    ],
)
def test_options_of_a_store_at_work_are_left_out(url, told):
    assert told == with_options(url, {"ssl"})


def takes_away(migration):
    lines = (line.partition("--")[0] for line in migration.sql.splitlines())
    return TAKES_AWAY.search("\n".join(lines)) is not None


@pytest.mark.parametrize("store", SQL_STORES)
def test_files_are_numbered_without_a_gap_and_keep_what_their_name_says(store):
    migrations = migrations_of(f"keyonce.stores.{store}")

    assert list(range(1, len(migrations) + 1)) == [each.version for each in migrations]
    assert [] == [each.name for each in migrations if each.adds and takes_away(each)]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE a DROP COLUMN b;",
        "alter table a rename to b;",
        "ALTER TABLE a ALTER COLUMN b SET NOT NULL;",
        "ALTER TABLE a MODIFY b INT;",
    ],
)
def test_a_file_that_takes_away_is_seen(sql):
    assert takes_away(Migration(9, "009_pre_x.sql", sql))
