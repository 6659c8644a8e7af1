# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A project whose tables Alembic makes, keyonce's among them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from keyonce.core.errors import ConfigurationError
from keyonce.stores.postgres import PostgresStore
from keyonce.stores.sqlalchemy import include_object
from keyonce.stores.url import open_schema, open_store
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import completed
from keyonce.testing.store_scenarios.endings import Endings
from keyonce.testing.store_scenarios.notes import Notes
from keyonce.testing.store_scenarios.operators import Operators
from tests.cli.conftest import run
from tests.stores.sqlalchemy.conftest import KINDS, Place, Project, place_of

FINISH = "    from keyonce.stores.sqlalchemy import finish_tables\n    finish_tables(op.get_bind())\n"


def upgraded(project, *, finished):
    """Generate the migration and run it, with the line of its author's or without."""
    written = project.generate()
    script = written.read_text()
    assert "keyonce_records" in script
    assert "drop_" not in script.partition("def downgrade")[0]
    if finished:
        head, name, tail = script.partition("def downgrade")
        written.write_text(f"{head}{FINISH}\n\n{name}{tail}")
    project.upgrade()


@pytest.fixture(scope="module", params=KINDS[:3])
def migrated_place(request, tmp_path_factory):
    """A database of each kind, made by Alembic once."""
    folder = tmp_path_factory.mktemp("project")
    place = place_of(request, request.param, folder)
    upgraded(Project(folder / "alembic", place), finished=True)
    return place


class TestStoreOnTablesThatAlembicMade(Endings, Notes, Operators):
    """What reads and writes every column there is."""

    @pytest.fixture
    def clock(self):
        return FakeClock()

    @pytest.fixture
    def store(self, clock, migrated_place):
        with migrated_place.connected() as connection:
            for table in migrated_place.metadata().sorted_tables[:-1]:
                connection.execute(table.delete())
        store = opened(migrated_place, clock)
        yield store
        store.close()


def opened(place, clock):
    """Open a store of that kind that changes no table."""
    if place.dialect == "sqlite":
        from keyonce.stores.sqlite import SQLiteStore

        return SQLiteStore(place.url, clock=clock, migrate=False)
    if place.dialect == "postgresql":
        return PostgresStore(place.url, clock=clock, migrate=False)
    from keyonce.stores.mysql import MySQLStore

    return MySQLStore(place.url, clock=clock, migrate=False)


def test_a_migration_that_finishes_the_tables_is_all_there_is_to_do(place, project):
    upgraded(project, finished=True)
    project.check()

    store = open_store(place.url, migrate=False)
    completed(store)
    store.close()

    assert 0 == run("doctor", "--store", place.url).code
    assert 0 == run("migrate", "--check", "--store", place.url).code
    project.check()


def test_what_a_migration_leaves_is_done_by_migrate(place, project):
    upgraded(project, finished=False)

    with pytest.raises(ConfigurationError, match="run 'keyonce migrate'"):
        open_store(place.url, migrate=False)
    ran = run("migrate", "--store", place.url)

    assert 0 == ran.code, ran
    project.check()
    store = open_store(place.url, migrate=False)
    completed(store)
    store.close()


def test_what_a_migration_leaves_is_done_by_the_first_store(place, project):
    upgraded(project, finished=False)

    store = open_store(place.url)
    completed(store)
    store.close()

    assert 0 == run("doctor", "--store", place.url).code
    project.check()


def test_whoever_wants_no_tables_in_the_metadata_leaves_them_alone(place):
    open_schema(place.url).migrate()
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer, primary_key=True))
    with place.connected() as connection:
        metadata.create_all(connection)

    told = place.differences(metadata)
    left = place.differences(metadata, include_object=include_object)

    assert {"remove_table"} <= {each[0] for each in told}
    assert [] == left


def test_tables_of_others_are_still_dropped(place):
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer, primary_key=True))
    with place.connected() as connection:
        metadata.create_all(connection)

    left = place.differences(MetaData(), include_object=include_object)

    assert [("remove_table", "orders")] == [(what, table.name) for what, table in left]


@pytest.mark.servers
def test_partitions_are_the_stores_own(postgres_server):
    place = Place("postgresql", postgres_server.url(postgres_server.new_database()))
    place.create_all()
    store = PostgresStore(
        place.url, migrate=False, partitions=timedelta(days=1), purge_every=None
    )
    store.close()

    metadata = place.metadata()
    told = place.differences(metadata)

    assert {"remove_table"} <= {each[0] for each in told if isinstance(each, tuple)}
    assert [] == place.differences(metadata, include_object=include_object)
