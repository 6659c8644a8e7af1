# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What cannot work is said in one sentence, with the mend."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from keyonce.core.errors import (
    ConfigurationError,
    RecordUnreadable,
    StoreError,
    StoreUnavailable,
)
from keyonce.core.model import Identity, Query
from keyonce.core.states import Status
from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore
from keyonce.stores.url import open_async_store, open_store
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
    settlement_of,
)
from tests.servers.programs import free_port


def opened(kind, url, **options):
    if kind == "sync":
        return MySQLStore(url, **options)
    return StorePortal(AsyncMySQLStore(url, **options))


KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


@pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
def test_a_url_opens_it(url, scheme):
    store = open_store(url.replace("mysql", scheme, 1))
    loop_store = StorePortal(open_async_store(url.replace("mysql", scheme, 1)))

    done = completed(store)

    assert done == record_in(loop_store)
    store.close()
    loop_store.close()


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("mysql://h", "names no database"),
        ("mysql://h/", "names no database"),
        ("mysql://h/a/b", "names no database"),
        ("mysql://h:x/db", "host or port"),
        ("mysql://h/db?charset=latin1", "'charset'.*ssl, ssl_ca, unix_socket"),
        ("mysql://h/db?ssl=maybe", "'true' nor 'false'"),
        ("mysql://h/db?ssl=false&ssl_ca=x", "contradict"),
        ("mysql://h/db?ssl_ca=/nowhere", "PEM"),
        ("mysql://u:pass#word@h/db", "%23"),
    ],
)
def test_urls_that_cannot_work_say_what_to_write(url, mend):
    for opener in (open_store, open_async_store):
        with pytest.raises(ConfigurationError, match=mend):
            opener(url)


@pytest.mark.parametrize(
    ("change", "kind", "mend"),
    [
        ("nobody:wrong@", ConfigurationError, "user or its password"),
        ("other-database", ConfigurationError, "no such database; make it"),
        ("other-port", StoreUnavailable, "nothing listens there; start it"),
    ],
)
def test_a_server_that_refuses_is_told_apart(server, url, change, kind, mend):
    match change:
        case "other-database":
            url = server.url("missing")
        case "other-port":
            url = url.replace(str(server.port), str(free_port()))
        case _:
            url = url.replace("root@", change)

    with pytest.raises(kind, match=mend) as refusal:
        MySQLStore(url)

    assert "wrong" not in str(refusal.value)


def test_a_user_who_may_not_make_tables_is_told(server, url):
    server.ask("CREATE OR REPLACE USER reader IDENTIFIED BY 's3cret#1'")
    server.ask("GRANT SELECT ON keyonce.* TO reader")
    reader = url.replace("root@", "reader:s3cret%231@")

    with pytest.raises(ConfigurationError, match=r"GRANT what the message names"):
        MySQLStore(reader)


@KINDS
def test_a_missing_table_is_told(server, url, kind):
    store = opened(kind, url)
    server.ask("DROP TABLE keyonce_records", "keyonce")

    with pytest.raises(StoreUnavailable, match=r"a table is missing; restore it"):
        store.claim(claim_of())
    store.close()


@KINDS
def test_a_read_only_server_is_told(server, url, kind):
    server.ask("CREATE OR REPLACE USER writer")
    server.ask("GRANT ALL ON keyonce.* TO writer")
    store = opened(kind, url.replace("root@", "writer@"))
    completed(store, named("done"))
    server.ask("SET GLOBAL read_only = ON")
    try:
        with pytest.raises(StoreUnavailable, match=r"read-only; name the primary"):
            store.claim(claim_of())
        replay = store.claim(claim_of(named("done"), SECOND)).record
        levels = {each.subject: each.level for each in store.examine()}
    finally:
        server.ask("SET GLOBAL read_only = OFF")

    assert replay.result is not None
    assert "error" == levels["role"]
    assert FIRST == store.claim(claim_of()).record.owner
    store.close()


@KINDS
def test_a_lock_that_is_held_too_long_makes_the_store_unavailable(server, url, kind):
    """1205 leaves nothing half done (F-40)."""
    store = opened(kind, url, store_timeout=timedelta(seconds=2))
    store.claim(claim_of())
    other = server.locking("keyonce", "SELECT 1 FROM keyonce_records FOR UPDATE")
    began = time.monotonic()

    with pytest.raises(StoreUnavailable):
        store.complete(completion_of())
    took = time.monotonic() - began
    elsewhere = store.claim(claim_of(named("other"))).record
    other.rollback()
    other.close()

    assert took < 4.5
    assert FIRST == elsewhere.owner
    assert store.complete(completion_of()).status is Status.COMPLETED
    store.close()


@KINDS
def test_a_deadlock_is_tried_again(server, url, kind):
    store = opened(kind, url)
    store.claim(claim_of())
    script = store_scripts(store)
    renew = script["renew_record"]
    script["renew_record"] = "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213"
    raised = []

    def heal(name):
        raised.append(name)
        if len(raised) == 3:
            script["renew_record"] = renew

    watch(store, heal)

    assert store.renew(ORDER, FIRST) is not None
    assert 3 == len([name for name in raised if name == "renew_record"])
    store.close()


@KINDS
def test_deadlocks_without_end_make_the_store_unavailable(url, kind):
    store = opened(kind, url)
    store_scripts(store)["read"] = "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213"

    with pytest.raises(StoreUnavailable, match="again and again"):
        store.find(ORDER)
    store.close()


def database_of(store):
    inner = getattr(store, "_store", store)
    return inner._database


def store_scripts(store):
    return database_of(store)._scripts


def watch(store, told):
    """Call *told* with the name of every statement before it is looked up."""
    database = database_of(store)
    scripts = database._scripts

    class Watched(dict[str, str]):
        def __getitem__(self, name):
            told(name)
            return scripts[name]

    database._scripts = Watched()


@KINDS
def test_a_server_that_hangs_is_given_up_in_time(own_server, kind):
    server = own_server
    store = opened(kind, server.database("keyonce"), store_timeout=timedelta(seconds=1))
    store.claim(claim_of())
    server.pause()
    began = time.monotonic()

    for _ in range(2):  # an open connection, then a new one
        with pytest.raises(StoreUnavailable):
            store.renew(ORDER, FIRST)
    took = time.monotonic() - began
    server.go_on()

    assert 1 <= took < 5
    assert store.renew(ORDER, FIRST) is not None

    server.restart()  # the connections that are idle are dead
    assert store.renew(ORDER, FIRST) is not None
    server.kill()
    with pytest.raises(StoreUnavailable):
        store.renew(ORDER, FIRST)
    server.start()
    assert store.renew(ORDER, FIRST) is not None
    store.close()


@KINDS
def test_a_closed_store_says_so(url, kind):
    store = opened(kind, url)
    inner = getattr(store, "_store", store)
    verbs = inner if kind == "sync" else inner.blocking()
    verbs.claim(claim_of())
    store.close()

    with pytest.raises(StoreUnavailable, match="closed"):
        verbs.claim(claim_of())


@KINDS
def test_what_utf8_cannot_hold_is_refused(used_url, kind):
    store = opened(kind, used_url)

    with pytest.raises(StoreError, match="UTF-8"):
        store.claim(claim_of(named("\ud800")))
    with pytest.raises(StoreError):  # and never cut off: two keys would be one
        store.claim(claim_of(named("k" * 1021)))
    assert FIRST == store.claim(claim_of(named("k" * 1020))).record.owner
    store.close()


@pytest.mark.parametrize(
    "damage",
    [
        "result = NULL",
        "result = LEFT(result, 5)",
        "status = 9",
        "guarantee = 9",
        "scheme = x'ff'",
    ],
)
def test_a_torn_row_runs_nothing_and_can_be_settled(server, used_url, damage):
    store = MySQLStore(used_url)
    completed(store)
    server.ask(f"UPDATE keyonce_records SET {damage}", "used")

    with pytest.raises(RecordUnreadable, match=r"resolve or release|torn"):
        store.claim(claim_of(owner=SECOND))
    assert store.stats().counts
    if not damage.startswith("result = LEFT"):
        assert ["unreadable"] == [each.reason for each in store.records(Query())]
    store.settle(settlement_of())

    assert Status.RELEASED is record_in(store).status
    store.close()


def test_identities_of_every_length_fit(used_url):
    store = MySQLStore(used_url)
    longest = Identity("\U0001f511" * 255, "\U0001f511" * 256, "\U0001f511" * 255)

    store.claim(claim_of(longest))

    assert longest == record_in(store, longest).identity
    assert [longest] == [each.identity for each in store.records(Query())]
    store.close()
