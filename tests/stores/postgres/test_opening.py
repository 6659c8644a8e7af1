# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a database must be like, and what is said when it is not."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.stores.postgres.queries import PACKAGE
from keyonce.stores.schema import migrations_of
from keyonce.stores.url import open_async_store, open_store
from keyonce.testing.store_scenarios.cases import FIRST, claim_of, record_in
from tests.servers.postgres import PASSWORD, free_port

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
        (("/db", "?nonsense=1&x=/db"), ConfigurationError, "no PostgreSQL URL"),
        ((PASSWORD.replace(" ", "%20"), "wrong"), ConfigurationError, "the password"),
        (("/db", "/nowhere"), ConfigurationError, "name another in the URL"),
        (("keyonce:", "stranger:"), ConfigurationError, "user and the password"),
    ],
)
def test_a_wrong_url_is_refused_with_the_mend(url, opened, change, kind, mend):
    with pytest.raises(kind, match=mend) as refusal:
        opened(url.replace(*change))

    assert PASSWORD not in str(refusal.value)


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
        with pytest.raises(ConfigurationError, match="GRANT USAGE, CREATE ON SCHEMA"):
            PostgresStore(guest)

        PostgresStore(url).close()
        run_sql(url, "GRANT ALL ON ALL TABLES IN SCHEMA public TO guest")
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


def test_an_older_schema_is_brought_up_to_date(url):
    PostgresStore(url).close()
    first = migrations_of(PACKAGE)[0]
    run_sql(
        url,
        "DROP TABLE keyonce_audits",
        f"DELETE FROM keyonce_schema WHERE version > {first.version}",
    )

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
