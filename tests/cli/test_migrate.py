# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce migrate``: what it runs, what it leaves, and how it ends."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from keyonce.stores.schema import Migration, migrations_of
from keyonce.stores.sqlite import SQLiteStore, migrating
from tests.cli.conftest import run

NOW = migrations_of("keyonce.stores.sqlite")
NAMES = [each.name for each in NOW]
NEWEST = NOW[-1].version
MORE = Migration(NEWEST + 1, f"{NEWEST + 1:03}_pre_more.sql", "CREATE TABLE more (a);")
LESS = Migration(NEWEST + 2, f"{NEWEST + 2:03}_post_less.sql", "DROP TABLE more;")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keyonce.db"


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


@pytest.fixture
def tomorrow(monkeypatch):
    """A version with two more files."""
    monkeypatch.setattr(migrating, "migrations_of", lambda _: (*NOW, MORE, LESS))


def migrate(url, *options):
    return run("migrate", "--store", url, *options)


def tables(path):
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in rows}


def test_it_makes_the_tables_once(url, path):
    made, again = migrate(url), migrate(url, "--json")

    assert (0, 0) == (made.code, again.code)
    assert f"version 0 → {NEWEST}" in made.out
    assert [] == [name for name in NAMES if name not in made.out]
    assert (NEWEST, NEWEST, [], []) == tuple(
        again.json[name] for name in ("from", "to", "ran", "due")
    )
    SQLiteStore(path, migrate=False).close()


def test_a_check_runs_nothing_and_ends_with_1_where_something_is_due(url, path):
    before = migrate(url, "--check", "--json")

    assert (1, NAMES, []) == (before.code, before.json["due"], before.json["ran"])
    assert not path.exists()
    migrate(url)
    assert 0 == migrate(url, "--check").code


def test_the_statements_do_by_hand_what_the_command_does(url, path, tmp_path):
    script = migrate(url, "--sql")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script.out)

    assert 0 == script.code
    assert 0 == migrate(url, "--check").code
    assert "" == migrate(url, "--sql").out
    SQLiteStore(path, migrate=False).close()


def test_what_takes_away_waits_for_contract(url, path, tomorrow):
    ran = migrate(url, "--json")

    assert [*NAMES, MORE.name] == ran.json["ran"]
    assert [LESS.name] == ran.json["waiting"]
    assert "more" in tables(path)
    assert 0 == migrate(url, "--check").code
    assert (1, [LESS.name]) == due(migrate(url, "--check", "--contract", "--json"))

    contracted = migrate(url, "--contract", "--yes", "--json")

    assert (0, [LESS.name], []) == (
        contracted.code,
        contracted.json["ran"],
        contracted.json["waiting"],
    )
    assert "more" not in tables(path)


def due(ran):
    return ran.code, ran.json["due"]


def test_taking_away_is_asked_about(url, path, tomorrow):
    migrate(url)

    refused = migrate(url, "--contract")

    assert 2 == refused.code
    assert "say --yes" in refused.err
    assert LESS.name in refused.err
    assert "more" in tables(path)


def test_beside_a_newer_version_it_is_up_to_date_until_something_is_taken_away(
    url, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(migrating, "migrations_of", lambda _: (*NOW, MORE, LESS))
        migrate(url)
        assert 0 == run("stats", "--store", url).code
        migrate(url, "--contract", "--yes")

    for command in ("migrate", "stats"):
        refused = run(command, "--store", url)

        assert 2 == refused.code
        assert "newer keyonce has taken away" in refused.err


def test_who_only_looks_changes_nothing(url, path):
    with closing(sqlite3.connect(path)):
        path.touch()

    refused = run("stats", "--store", url)

    assert 2 == refused.code
    assert "run 'keyonce migrate'" in refused.err
    assert set() == tables(path)


def test_redis_has_nothing_to_migrate():
    for options in ((), ("--check",), ("--contract",), ("--sql",)):
        assert 0 == migrate("redis://nowhere.invalid/0", *options).code
    assert "nothing to migrate" in migrate("redis://nowhere.invalid/0").out


def test_memory_and_nonsense_are_refused():
    assert 2 == migrate("memory://").code
    assert 2 == migrate("nonsense://").code
    assert 2 == migrate("sqlite:///x.db", "--check", "--sql").code


def test_a_url_says_yes_or_no():
    refused = run("stats", "--store", "mysql://h/db?migrate=maybe")

    assert 2 == refused.code
    assert "'migrate=no'" in refused.err
