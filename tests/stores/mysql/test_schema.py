# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The tables: made once by whoever comes first, never by an older program."""

from __future__ import annotations

import ast
import inspect
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from keyonce.core.errors import ConfigurationError, StoreUnavailable
from keyonce.core.states import Status
from keyonce.stores.mysql import (
    AsyncMySQLStore,
    MySQLStore,
    async_database,
    database,
    examine,
    joining,
    procedures,
)
from keyonce.stores.mysql.script import PACKAGE, scripts
from keyonce.stores.schema import migrations_of
from keyonce.stores.statement import queries_of
from keyonce.testing.store_scenarios.cases import (
    HOUR,
    ORDER,
    claim_of,
    completed,
    named,
    record_in,
)
from tests.stores.programs import said, started, tell

NEWEST = migrations_of(PACKAGE)[-1].version


def versions(server):
    return server.ask("SELECT version FROM keyonce_schema ORDER BY 1", "keyonce")


def test_many_that_come_at_once_make_the_tables_once(server, url):
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: MySQLStore(url), range(8)))

    assert tuple((n,) for n in range(1, NEWEST + 1)) == versions(server)
    for each in stores:
        completed(each)
        each.close()


def test_a_half_done_migration_is_finished(server, url):
    MySQLStore(url).close()
    server.ask("DELETE FROM keyonce_schema WHERE version > 0", "keyonce")

    store = MySQLStore(url)

    assert NEWEST == len(versions(server))
    completed(store)
    store.close()


def test_version_one_is_brought_up_to_date_with_its_rows(server, url):
    one = migrations_of(PACKAGE)[0]
    with server.connect("keyonce") as old, old.cursor() as cursor:
        cursor.execute(one.sql)
        cursor.execute(
            "CREATE TABLE keyonce_schema (version INT UNSIGNED NOT NULL PRIMARY KEY, "
            "name VARBINARY(255) NOT NULL)"
        )
        cursor.execute("INSERT INTO keyonce_schema VALUES (1, %s)", (one.name,))
        cursor.execute(
            "INSERT INTO keyonce_records VALUES ('alice', 'POST /orders', 'order-1', "
            "4, 3, 2, 0, 'owner', 1, 1000000, 30000000, 31000000, 2000000, NULL, NULL, "
            "NULL, NULL, NULL, NULL, 'safe', NULL, NULL, 0)"
        )

    store = MySQLStore(url)

    record = record_in(store)
    assert (Status.RELEASED, 2, "safe", 2.0, 31.0) == (
        record.status,
        record.executions,
        record.reason,
        record.ended_at,
        record.lease_until,
    )
    assert 3 == store.claim(claim_of()).record.executions
    assert [] == list(store.audits())
    store.close()


@pytest.mark.parametrize("kind", [MySQLStore, AsyncMySQLStore])
def test_without_migrating_nothing_is_made_or_changed(server, url, kind):
    with pytest.raises(ConfigurationError, match=r"is not there.*keyonce migrate"):
        kind(url, migrate=False)
    assert () == server.ask("SHOW TABLES", "keyonce")

    MySQLStore(url).close()
    server.ask("DELETE FROM keyonce_schema WHERE version > 1", "keyonce")
    with pytest.raises(ConfigurationError, match=r"is version 1.*keyonce migrate"):
        kind(url, migrate=False)

    assert ((1,),) == versions(server)


def test_a_user_who_may_not_make_tables_is_refused_and_may_use_them(server, url):
    server.ask("CREATE OR REPLACE USER guest@127.0.0.1")
    server.ask("GRANT SELECT, INSERT, UPDATE, DELETE ON keyonce.* TO guest@127.0.0.1")
    guest = server.url("keyonce", user="guest")
    try:
        with pytest.raises(
            ConfigurationError, match=r"'keyonce migrate', run as a user"
        ):
            MySQLStore(guest)

        MySQLStore(url).close()
        store = MySQLStore(guest)

        completed(store)
        store.close()
    finally:
        server.ask("DROP USER guest@127.0.0.1")


def test_a_newer_schema_is_refused(server, url):
    MySQLStore(url).close()
    server.ask("INSERT INTO keyonce_schema VALUES (99, 'x')", "keyonce")

    with pytest.raises(ConfigurationError, match=r"version 99.*Install that version"):
        MySQLStore(url)


def test_a_schema_that_another_changes_is_waited_for_not_for_ever(server, url):
    with server.connect("keyonce") as other, other.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(CONCAT('keyonce.', MD5(DATABASE())), 1)")

        with pytest.raises(StoreUnavailable, match="Another process"):
            MySQLStore(url, store_timeout=timedelta(seconds=1))

    MySQLStore(url).close()


def names_in(*modules):
    """Every text that the code of *modules* holds."""
    trees = [ast.parse(inspect.getsource(module)) for module in modules]
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_query_is_used():
    queries = queries_of(PACKAGE)
    inside = set(re.findall(r"\{(\w+)\}", "".join(queries.values())))
    used = names_in(procedures, joining, examine, database, async_database)

    assert {"now"} == inside - set(queries)
    assert set() == set(queries) - used - inside


@pytest.mark.parametrize("bound_clock", [False, True])
def test_no_gap_stays_unfilled(bound_clock):
    for script in scripts(bound_clock=bound_clock).values():
        assert "{" not in script
        assert script.count("%") == script.count("%(")


def plan(server, query, **values):
    with server.connect("keyonce") as admin, admin.cursor() as cursor:
        cursor.execute("EXPLAIN " + query, values)
        return [dict(zip(COLUMNS, row, strict=True)) for row in cursor.fetchall()]


COLUMNS = (
    *("id", "kind", "table", "type", "possible"),
    *("key", "key_len", "ref", "rows", "extra"),
)


def test_no_query_scans_what_it_need_not(server, url):
    store = MySQLStore(url)
    for number in range(300):
        completed(store, named(f"{number:04}"))
    server.ask("ANALYZE TABLE keyonce_records", "keyonce")
    texts = scripts(bound_clock=False)
    identity = dict(zip(("scope", "operation", "key"), ORDER, strict=True))
    after = {"after_scope": "alice", "after_operation": "POST /orders"}
    listing = {"scope": None, "operation": None, "key": None, "statuses": -1}

    read = plan(server, texts["read"], **identity)
    due = plan(server, texts["due_records"], limit=100)
    page = plan(
        server, texts["list_records"], **after, **listing, after_key="0290", limit=500
    )
    still_open = plan(
        server, texts["list_open"], **after, **listing, after_key="", limit=500
    )
    batch = tuple(("alice", "POST /orders", f"{n:04}") for n in range(20))
    purge, delete = texts["purge_records"].split(";\n")
    purging = [plan(server, each, identities=batch)[0] for each in (purge, delete)]

    assert ["keyonce_upkeep"] * 2 == [each[0]["key"] for each in (due, still_open)]
    assert int(page[0]["rows"]) < 30
    assert ["PRIMARY", "range", "20"] * 2 == [
        str(each[name]) for each in purging for name in ("key", "type", "rows")
    ]
    assert "Impossible WHERE" in str(read[0]["extra"]) or read[0]["type"] == "const"
    store.close()


def expire(server, hours=2):
    server.ask(
        f"UPDATE keyonce_records SET expires_at = expires_at - {hours * 3600}000000",
        "keyonce",
    )


def test_a_thread_purges_what_expired(server, url):
    store = MySQLStore(url, purge_every=timedelta(milliseconds=50))
    for number in range(250):
        completed(store, named(str(number)), retention_for=HOUR)
    expire(server)
    store.claim(claim_of(named("alive")))

    deadline = time.monotonic() + 20
    while store.stats().counts != {Status.IN_PROGRESS: 1}:
        assert time.monotonic() < deadline, store.stats().counts
        time.sleep(0.02)

    assert Status.IN_PROGRESS is record_in(store, named("alive")).status
    store.close()


def test_a_purge_leaves_locked_rows_of_others_waiting_for_nobody(server, url):
    store = MySQLStore(url, purge_every=None)
    for number in range(20):
        completed(store, named(str(number)))
    expire(server)
    other = server.locking(
        "keyonce",
        "SELECT 1 FROM keyonce_records WHERE `key` = '7' AND scope = 'alice' "
        "AND operation = 'POST /orders' FOR UPDATE",
    )
    with ThreadPoolExecutor(1) as pool:
        purge = pool.submit(store.purge)
        fresh = store.claim(claim_of(named("new"))).record
        other.rollback()
        other.close()

        assert 20 == purge.result(timeout=30)
    assert fresh == record_in(store, named("new"))
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_child_of_a_fork_opens_connections_of_its_own(url):
    with started(
        """
        from keyonce.stores.mysql import MySQLStore
        store = MySQLStore(sys.argv[1], purge_every=timedelta(milliseconds=20))
        completed(store)
        child = os.fork()
        for number in range(100):
            owner = b"%016d" % (number + 1000 * bool(child))
            key = named(f"{number}-{bool(child)}")
            assert store.claim(claim_of(key, owner)).record.owner == owner
            store.complete(completion_of(key, owner))
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        say(store.stats().counts[Status.COMPLETED])
        hear()
        store.close()
        """,
        url,
    ) as process:
        assert "201" == said(process)
        tell(process)
        assert 0 == process.wait(timeout=30)
