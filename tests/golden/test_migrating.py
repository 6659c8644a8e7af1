# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What an operator sees and does of a schema: the same for each SQL store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import boto3
import psycopg
import pytest

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.stores.dynamodb import DynamoDBStore
from keyonce.stores.mysql import opening as mysql
from keyonce.stores.postgres import opening as postgres
from keyonce.stores.schema import Migration
from keyonce.stores.sqlite import migrating as sqlite
from keyonce.stores.url import open_schema, open_store
from keyonce.testing.store_scenarios.cases import completed, named
from tests.cli.conftest import run
from tests.golden.conftest import SQL_STORES
from tests.servers.moto import REGION


@pytest.mark.parametrize("name", SQL_STORES)
def test_an_empty_database_is_made_ready_once(name, new_place):
    place = new_place(name)
    known = place.migrations
    empty = place.schema.look()

    with ThreadPoolExecutor(3) as pool:
        ran = list(pool.map(lambda _: place.schema.migrate(), range(3)))

    assert (0, known) == (empty.version, empty.to_run)
    assert [(), (), known] == sorted(ran)
    assert (known[-1].version, ()) == place.schema.look()[1:3]
    store = open_store(place.url + "?migrate=no")
    completed(store)
    store.close()


@pytest.mark.parametrize("name", SQL_STORES)
def test_the_script_does_by_hand_what_the_command_does(name, new_place):
    place = new_place(name)

    place.run(place.schema.script(place.schema.look().to_run))

    assert () == place.schema.look().to_run
    store = open_store(place.url, migrate=False)
    completed(store)
    store.close()


@pytest.mark.parametrize("name", SQL_STORES)
def test_a_database_one_version_behind_says_so_and_is_brought_up(name, new_place):
    place = new_place(name)
    place.make(1)
    looked = run("migrate", "--check", "--store", place.url, "--json")

    with pytest.raises(ConfigurationError, match=r"is version 1.*'keyonce migrate'"):
        open_store(place.url, migrate=False)
    ran = run("migrate", "--store", place.url, "--json")

    later = [each.name for each in place.migrations[1:]]
    assert (1, later) == (looked.code, looked.json["due"])
    assert (0, later) == (ran.code, ran.json["ran"])
    assert "***" in ran.json["store"] or name != "postgres"


READERS = {"sqlite": sqlite, "postgres": postgres, "mysql": mysql}
MORE = "ALTER TABLE keyonce_records ADD COLUMN shade {text};\nCREATE TABLE keyonce_more (a INT);\n"


@pytest.fixture
def tomorrow(monkeypatch):
    """Give the store of that name two more files."""

    def add(place):
        version = place.migrations[-1].version
        text = "VARCHAR(9)" if place.name == "mysql" else "TEXT"
        more = Migration(
            version + 1, f"{version + 1:03}_pre_more.sql", MORE.format(text=text)
        )
        less = Migration(
            version + 2, f"{version + 2:03}_post_less.sql", "DROP TABLE keyonce_more;\n"
        )
        known = (*place.migrations, more, less)
        monkeypatch.setattr(READERS[place.name], "migrations_of", lambda _: known)
        return more, less

    return add


@pytest.mark.parametrize("name", SQL_STORES)
def test_what_takes_away_waits_for_the_operator(name, new_place, tomorrow):
    place = new_place(name)
    more, less = tomorrow(place)
    store = place.open()
    completed(store)

    assert (less,) == place.schema.look().waiting
    ran = [place.schema.migrate()]
    assert "keyonce_more" in place.tables()
    ran.append(place.schema.migrate(contract=True))

    added = (more,) if name == "sqlite" else ()  # the others' files were run at opening
    assert (added, (less,)) == (ran[0][-1:], ran[1])
    assert ((), ()) == place.schema.look()[2:4]
    assert "keyonce_more" not in place.tables()
    completed(store, named("another"))
    store.close()


@pytest.mark.servers
def test_a_change_does_not_hold_up_traffic_behind_an_open_transaction(
    new_place, tomorrow
):
    place = new_place("postgres")
    store = place.open()
    more, _ = tomorrow(place)
    with psycopg.connect(place.url) as theirs, ThreadPoolExecutor(1) as pool:
        theirs.execute("SELECT count(*) FROM keyonce_records")
        migrating = pool.submit(place.schema.migrate)

        with pytest.raises(StoreUnavailable, match="when it has ended"):
            migrating.result(timeout=60)

        completed(store)
        theirs.rollback()
    assert (more,) == place.schema.migrate()
    completed(store, named("another"))
    store.close()


@pytest.fixture
def aws(moto):
    moto.restart()
    client = boto3.session.Session().client(
        "dynamodb", endpoint_url=moto.endpoint, region_name=REGION
    )
    yield client
    client.close()


@pytest.mark.servers
def test_a_dynamodb_table_is_made_only_after_a_yes(moto, aws):
    url = moto.url("shop-keys")
    checked, asked = (
        run("migrate", "--check", "--store", url),
        run("migrate", "--store", url),
    )
    assert (1, 2) == (checked.code, asked.code)
    assert "say --yes" in asked.err
    assert [] == aws.list_tables()["TableNames"]

    made = run("migrate", "--yes", "--store", url, "--json")

    assert (0, 3) == (made.code, made.json["to"])
    assert 0 == run("migrate", "--check", "--store", url).code
    table = aws.describe_table(TableName="shop-keys")["Table"]
    assert "PAY_PER_REQUEST" == table["BillingModeSummary"]["BillingMode"]
    store = DynamoDBStore(url)
    completed(store)
    assert ["ok"] * 5 == [
        each.level for each in store.examine() if each.subject in DYNAMODB_PARTS
    ]
    store.close()


DYNAMODB_PARTS = {"table", "key schema", "index", "regions", "expiry"}


@pytest.mark.servers
def test_what_a_dynamodb_table_lacks_is_added(moto, aws):
    aws.create_table(
        TableName="bare",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("id", "part")
        ],
        KeySchema=[
            {"AttributeName": "id", "KeyType": "HASH"},
            {"AttributeName": "part", "KeyType": "RANGE"},
        ],
    )
    schema = open_schema(moto.url("bare"))

    before, script = schema.look(), schema.script(schema.look().to_run)
    schema.migrate()

    assert ["002_pre_time_to_live", "003_pre_index_of_open_records"] == [
        each.name for each in before.to_run
    ]
    assert "aws dynamodb update-time-to-live" in script
    assert "aws dynamodb update-table" in script
    assert (3, ()) == schema.look()[1:3]


@pytest.mark.servers
def test_a_dynamodb_table_of_another_key_is_refused(moto, aws):
    aws.create_table(
        TableName="theirs",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )

    with pytest.raises(ConfigurationError, match="name another table"):
        open_schema(moto.url("theirs")).look()
