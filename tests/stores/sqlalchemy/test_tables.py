# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Tables of the user's metadata are to the letter what `keyonce migrate` makes."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from keyonce.core.errors import ConfigurationError
from keyonce.stores.sqlalchemy import add_tables, finish_tables
from keyonce.stores.url import open_schema, open_store
from keyonce.testing.store_scenarios.cases import completed, record_in
from tests.stores.sqlalchemy.conftest import CONVENTION

# All that the database itself says of keyonce's tables.
SAID = {
    "sqlite": [
        (
            "SELECT m.name, i.* FROM sqlite_master AS m, pragma_table_info(m.name) AS i "
            "WHERE m.type = 'table' ORDER BY 1, 2"
        ),
        (
            'SELECT m.name, i.name, i."unique", i.origin, i.partial, c.name '
            "FROM sqlite_master AS m, pragma_index_list(m.name) AS i, "
            "pragma_index_info(i.name) AS c WHERE m.type = 'table' ORDER BY 1, 2, c.seqno"
        ),
    ],
    "postgresql": [
        (
            "SELECT relname, relkind, reloptions, pg_get_partkeydef(oid) FROM pg_class "
            "WHERE relname LIKE 'keyonce%' ORDER BY 1"
        ),
        (
            "SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), "
            "a.attnotnull, a.attstorage, a.attidentity, a.attcollation::regcollation::text, "
            "pg_get_expr(d.adbin, d.adrelid) FROM pg_class AS c "
            "JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 "
            "LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum "
            "WHERE c.relname LIKE 'keyonce%' ORDER BY 1, 2"
        ),
        (
            "SELECT tablename, indexdef FROM pg_indexes "
            "WHERE tablename LIKE 'keyonce%' ORDER BY 1, 2"
        ),
        (
            "SELECT conname, contype, convalidated, pg_get_constraintdef(oid) "
            "FROM pg_constraint WHERE conname LIKE 'keyonce%' ORDER BY 1"
        ),
        (
            "SELECT pg_get_functiondef(oid) FROM pg_proc "
            "WHERE proname LIKE 'keyonce%' ORDER BY proname"
        ),
    ],
    "mysql": [
        (
            "SELECT table_name, engine, row_format, create_options "
            "FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1"
        ),
        (
            "SELECT table_name, ordinal_position, column_name, column_default, "
            "is_nullable, column_type, column_key, extra FROM information_schema.columns "
            "WHERE table_schema = DATABASE() ORDER BY 1, 2"
        ),
        (
            "SELECT table_name, index_name, seq_in_index, column_name, non_unique "
            "FROM information_schema.statistics WHERE table_schema = DATABASE() "
            "ORDER BY 1, 2, 3"
        ),
    ],
}


def said_of(place):
    queries = SAID["mysql" if place.dialect == "mariadb" else place.dialect]
    return [place.ask(query) for query in queries]


def versions_in(place):
    return place.ask("SELECT version, name FROM keyonce_schema ORDER BY 1")


def test_create_all_makes_what_migrate_makes(new_place):
    ours, theirs = new_place(), new_place()

    open_schema(ours.url).migrate()
    theirs.create_all()

    assert said_of(ours) == said_of(theirs)
    assert all(map(len, said_of(ours)))
    assert versions_in(ours) == versions_in(theirs)


def test_a_store_opens_what_create_all_made_and_changes_nothing(place):
    place.create_all()
    before = said_of(place)

    store = open_store(place.url, migrate=False)
    completed(store)

    assert before == said_of(place)
    assert record_in(store).result is not None
    store.close()


def test_create_all_beside_what_migrate_made_does_nothing(place):
    open_schema(place.url).migrate()
    before = said_of(place), versions_in(place)

    place.create_all()
    with place.connected() as connection:
        finish_tables(connection)

    assert before == (said_of(place), versions_in(place))


def test_autogenerate_finds_nothing_to_change_in_what_migrate_made(place):
    open_schema(place.url).migrate()

    assert [] == place.differences(place.metadata())
    assert [] == place.differences(place.metadata(naming_convention=CONVENTION))


@pytest.mark.servers
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_create_all_on_a_loop(postgres_server, driver):
    url = postgres_server.url(postgres_server.new_database())
    engine = create_async_engine(url.replace("postgresql:", f"postgresql+{driver}:"))
    metadata = MetaData()
    add_tables(metadata, dialect="postgresql")

    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()

    store = open_store(url, migrate=False)
    completed(store)
    store.close()


@pytest.mark.servers
async def test_create_all_on_a_loop_of_mariadb(mariadb_server):
    url = mariadb_server.database("loops")
    engine = create_async_engine(url.replace("mysql:", "mysql+asyncmy:"))
    metadata = MetaData()
    add_tables(metadata, dialect="mysql")

    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()

    store = open_store(url, migrate=False)
    completed(store)
    store.close()


def test_a_database_that_no_store_is_for_is_refused():
    with pytest.raises(ConfigurationError, match="no tables for 'oracle'"):
        add_tables(MetaData(), dialect="oracle")  # type: ignore[arg-type]


class Elsewhere:
    """As much of a connection as is looked at before anything is sent."""

    class dialect:  # noqa: N801 - an attribute of SQLAlchemy's
        name = "mssql"


def test_tables_elsewhere_are_not_finished():
    with pytest.raises(ConfigurationError, match="leads to mssql"):
        finish_tables(Elsewhere())  # type: ignore[arg-type]


def test_finishing_is_part_of_the_callers_transaction(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    metadata = MetaData()
    add_tables(metadata, dialect="sqlite")

    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        metadata.create_all(connection)
        connection.rollback()

    with engine.connect() as connection:
        made = connection.exec_driver_sql("SELECT name FROM sqlite_master").fetchall()
    engine.dispose()
    assert [] == made
