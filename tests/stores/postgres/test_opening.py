# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a database must be like, and what is said when it is not."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.core.guarantee import Guarantee
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.stores.postgres.queries import PACKAGE
from keyonce.stores.postgres.translate import translation_of
from keyonce.stores.schema import migrations_of
from keyonce.stores.url import open_async_store, open_store
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import FIRST, claim_of, record_in
from tests.servers.postgres import PASSWORD
from tests.servers.programs import free_port
from tests.stores.postgres.test_contract import isolated

AGAIN = Guarantee.AT_LEAST_ONCE
SECOND_AT_MOST = timedelta(seconds=1)


def run_sql(url, *statements):
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_url_opens_it(url):
    store = open_store(url)

    assert isinstance(store, PostgresStore)
    store.close()


async def test_a_url_opens_it_for_a_loop(url):
    store = open_async_store(url)

    assert isinstance(store, AsyncPostgresStore)
    await store.close()


@pytest.mark.parametrize("opened", [PostgresStore, AsyncPostgresStore])
@pytest.mark.parametrize(
    ("change", "kind", "mend"),
    [
        (("/db", "?nonsense=1&x=/db"), ConfigurationError, "option 'nonsense'"),
        (("/db", "/db?partitions=1d"), ConfigurationError, "'keyonce_partitions'"),
        (("/db", ""), ConfigurationError, "names no database"),
        (("@", "@["), ConfigurationError, "no PostgreSQL URL"),
        ((PASSWORD.replace(" ", "%20"), "wrong"), ConfigurationError, "the password"),
        (("/db", "/nowhere"), ConfigurationError, "name another in the URL"),
        (("keyonce:", "stranger:"), ConfigurationError, "user and the password"),
    ],
)
def test_a_wrong_url_is_refused_with_the_mend(url, opened, change, kind, mend):
    with pytest.raises(kind, match=mend) as refusal:
        opened(url.replace(*change))

    assert PASSWORD not in str(refusal.value)


def test_libpq_may_be_told_the_database(url, monkeypatch):
    monkeypatch.setenv("PGDATABASE", url.rpartition("/")[2])

    PostgresStore(url.rpartition("/")[0]).close()


@pytest.mark.parametrize("opened", [PostgresStore, AsyncPostgresStore])
def test_what_is_no_server_or_no_pool_is_refused(url, opened):
    with pytest.raises(ConfigurationError, match="A int is no PostgreSQL server"):
        opened(42)
    with pytest.raises(ConfigurationError, match="give at least 1"):
        opened(url, pool_size=0)


def test_a_server_that_is_not_there_is_unavailable():
    began = time.monotonic()

    with pytest.raises(StoreUnavailable, match="refused"):
        PostgresStore(
            f"postgresql://me@127.0.0.1:{free_port()}/db", store_timeout=SECOND_AT_MOST
        )

    assert time.monotonic() - began < 5


def test_a_database_that_cannot_tell_keys_apart_is_refused(server):
    url = server.url(server.new_database(encoding="LATIN1"))

    with pytest.raises(ConfigurationError, match="ENCODING 'UTF8'"):
        PostgresStore(url)


def test_a_read_only_server_is_refused(url):
    options = "?options=-c%20default_transaction_read_only%3Don"

    with pytest.raises(ConfigurationError, match="read only"):
        PostgresStore(url + options)


def test_a_role_that_may_not_make_tables_is_refused_and_may_use_them(server, url):
    run_sql(url, "CREATE ROLE guest LOGIN PASSWORD 'g'")
    try:
        guest = url.replace(f"keyonce:{PASSWORD.replace(' ', '%20')}", "guest:g")
        with pytest.raises(
            ConfigurationError,
            match=r"'keyonce migrate' as a role .*GRANT USAGE, CREATE ON SCHEMA",
        ):
            PostgresStore(guest)

        PostgresStore(url).close()
        run_sql(
            url,
            "GRANT SELECT, INSERT, UPDATE, DELETE ON keyonce_records, "
            "keyonce_renewals, keyonce_outcomes, keyonce_audits TO guest",
            "GRANT SELECT ON keyonce_schema TO guest",
        )
        store = PostgresStore(guest)

        assert FIRST == store.claim(claim_of()).record.owner
        store.close()
    finally:
        run_sql(url, "DROP OWNED BY guest", "DROP ROLE guest")


def test_tables_that_went_away_are_missed_in_words(url):
    store = PostgresStore(url)
    run_sql(url, "DROP TABLE keyonce_records")

    with pytest.raises(StoreUnavailable, match="tables are missing"):
        store.claim(claim_of())
    store.close()


def test_a_newer_schema_is_refused(url):
    PostgresStore(url).close()
    run_sql(url, "INSERT INTO keyonce_schema VALUES (999, '999_post_future.sql')")

    with pytest.raises(ConfigurationError, match="newer keyonce"):
        PostgresStore(url)


def make_old(url):
    first = migrations_of(PACKAGE)[0]
    run_sql(
        url,
        first.sql,
        "CREATE TABLE keyonce_schema (version INT4 PRIMARY KEY, name TEXT NOT NULL)",
        f"INSERT INTO keyonce_schema VALUES ({first.version}, '{first.name}')",
    )


@pytest.mark.parametrize("opened", [PostgresStore, AsyncPostgresStore])
def test_without_migrating_nothing_is_made_or_changed(server, opened):
    name = server.new_database()
    url = server.url(name)
    with pytest.raises(ConfigurationError, match=r"is not there.*keyonce migrate"):
        opened(url, migrate=False)
    assert [(None,)] == server.run_sql("SELECT to_regclass('keyonce_schema')", name)

    make_old(url)
    with pytest.raises(ConfigurationError, match=r"is version 1.*keyonce migrate"):
        opened(url, migrate=False)

    assert [(1,)] == server.run_sql("SELECT max(version) FROM keyonce_schema", name)


def test_a_url_may_say_that_nothing_is_migrated(url):
    with pytest.raises(ConfigurationError, match=r"is not there.*keyonce migrate"):
        open_store(url + "?migrate=no&connect_timeout=9")

    PostgresStore(url).close()
    open_store(url + "?migrate=no&connect_timeout=9").close()


def test_an_older_schema_is_brought_up_to_date(url):
    make_old(url)

    store = PostgresStore(url)

    assert [] == list(store.audits())
    store.close()


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_many_may_open_a_new_database_at_once(server, level):
    name = server.new_database()
    server.run_sql(
        f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'"
    )
    url = server.url(name)

    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(PostgresStore, [url] * 6))

    versions = [each.version for each in migrations_of(PACKAGE)]
    told = server.run_sql("SELECT version FROM keyonce_schema ORDER BY 1", name)
    assert versions == [row[0] for row in told]
    for each in stores:
        each.close()


@pytest.fixture
def strict(server):
    """A database whose transactions are serializable unless they say otherwise."""
    name = server.new_database()
    server.run_sql(
        f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"
    )
    return server.url(name)


def isolation_of(store):
    (found,) = [one.detail for one in store.examine() if one.subject == "isolation"]
    return found.partition(";")[0]


@pytest.mark.parametrize(
    "opened", [PostgresStore, lambda url: StorePortal(AsyncPostgresStore(url))]
)
def test_connections_of_its_own_read_what_is_committed(strict, opened):
    with closing(opened(strict)) as store:
        assert "read committed" == isolation_of(store)


def test_a_level_that_the_url_names_stays(strict):
    with closing(PostgresStore(isolated(strict, "repeatable read"))) as store:
        assert "repeatable read" == isolation_of(store)


def test_a_pool_of_yours_stays_as_it_is(strict):
    with ConnectionPool(strict) as pool, closing(PostgresStore(pool)) as store:
        assert "serializable" == isolation_of(store)


def test_many_may_take_over_where_every_transaction_is_serializable(strict):
    clock = FakeClock()
    stores = [PostgresStore(strict, clock=clock, pool_size=2) for _ in range(4)]
    stores[0].claim(claim_of(guarantee=AGAIN, lease_for=1.0))
    until = record_in(stores[0]).lease_until
    clock.advance(10)
    commands = [
        claim_of(owner=b"%016d" % number, guarantee=AGAIN, witnessed=until)
        for number in range(24)
    ]

    with ThreadPoolExecutor(24) as pool:
        claims = pool.map(lambda one, of: of.claim(one), commands, stores * 6)
        owners = {claimed.record.owner for claimed in claims}

    assert 1 == len(owners)
    for each in stores:
        each.close()


def test_what_one_store_wrote_another_reads(url):
    one, other = PostgresStore(url), PostgresStore(url)

    written = one.claim(claim_of()).record

    assert written == record_in(other)
    one.close()
    other.close()


def test_a_closed_store_says_so(url):
    store = PostgresStore(url)
    store.close()

    with pytest.raises(StoreUnavailable, match="closed"):
        store.claim(claim_of())


def test_without_its_packages_the_url_says_what_to_install():
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from keyonce.core.errors import ConfigurationError\n"
        "from keyonce.stores.url import open_store\n"
        "try: open_store('postgresql://h/db')\n"
        "except ConfigurationError as refusal: print(refusal)"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "pip install 'keyonce[postgres]'" in ran.stdout


def test_what_the_server_refuses_is_told_without_a_piece_of_our_sql(url):
    with psycopg.connect(url) as connection, pytest.raises(psycopg.Error) as raised:
        connection.execute("SELECT nonsense()")

    told = str(translation_of(raised.value))

    assert told.startswith("PostgreSQL refused: function nonsense() does not exist")
    assert "LINE" not in told
