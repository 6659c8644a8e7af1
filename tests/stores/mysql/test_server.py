# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the server: what doctor says of them, and what its packet holds."""

from __future__ import annotations

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import StoredResult
from keyonce.core.protocols import Store
from keyonce.core.states import Status
from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore
from keyonce.stores.mysql.opening import LEAST_PACKET, largest_result
from keyonce.stores.mysql.procedures import HEADERS
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import (
    ORDER,
    claim_of,
    completion_of,
    named,
    record_in,
    settlement_of,
)
from tests.servers.mariadb import MIB, MariaDB

BAD = (
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-doublewrite=OFF",
    "--log-bin=log",
    "--sync-binlog=0",
)


def levels(store):
    return {each.subject: each.level for each in store.examine()}


@pytest.fixture(params=["sync", "async"])
def opened(request):
    stores: list[Store] = []

    def open_one(url):
        if request.param == "sync":
            stores.append(MySQLStore(url, purge_every=None))
        else:
            stores.append(StorePortal(AsyncMySQLStore(url, purge_every=None)))
        return stores[-1]

    yield open_one
    for each in stores:
        each.close()


def test_a_server_that_is_set_well_has_no_faults(used_url, opened):
    store = opened(used_url)
    store.claim(claim_of())

    assert {"ok"} == set(levels(store).values())
    assert store.traits.durable
    assert frozenset(Guarantee) == store.traits.guarantees


def test_settings_that_break_the_promise_are_errors(tmp_path):
    server = MariaDB(tmp_path, *BAD, packet=2 * MIB)
    server.start()
    try:
        store = MySQLStore(server.database("keyonce"))
        found = levels(store)
        server.ask("SET GLOBAL sync_binlog = 1, innodb_flush_log_at_trx_commit = 1")
        server.ask("SET GLOBAL binlog_format = 'STATEMENT'")
        server.ask("SET GLOBAL max_allowed_packet = 1048576")
        server.ask(
            "ALTER TABLE keyonce_audits DROP KEY keyonce_audited, ENGINE = Aria",
            "keyonce",
        )
        server.ask(
            "INSERT INTO keyonce_records (scope, operation, `key`, status, guarantee, "
            "executions, crashes, owner, created_at, claimed_at, lease_for, lease_until)"
            " VALUES ('a', 'b', 'c', 1, 3, 1, 0, 'o', 0, 4000000000000000, 1, 1)",
            "keyonce",
        )
        later = levels(store)
        store.close()
    finally:
        server.stop()

    assert ("error", "error", "warning", "ok", "ok") == tuple(
        found[name]
        for name in ("durability", "binary log", "doublewrite", "packet", "engine")
    )
    assert ("ok", "error", "error", "error", "warning") == tuple(
        later[name]
        for name in ("durability", "binary log", "packet", "engine", "clock")
    )


def test_a_weaker_flush_that_is_declared_is_a_warning(own_server):
    own_server.ask("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    url = own_server.database("keyonce")
    by_url = f"{url}?durability=declared"
    stores: list[Store] = [
        MySQLStore(by_url),
        MySQLStore(url, durability="declared"),
        StorePortal(AsyncMySQLStore(by_url)),
        MySQLStore(url),
    ]

    found = [levels(store)["durability"] for store in stores]

    assert ["warning", "warning", "warning", "error"] == found
    for store in stores:
        store.close()


def test_a_server_that_takes_no_writes_is_an_error(own_server):
    store = MySQLStore(own_server.database("keyonce"))
    own_server.ask("SET GLOBAL read_only = ON")

    assert "error" == levels(store)["role"]
    store.close()


def test_a_right_that_is_missing_is_named(server, url):
    MySQLStore(url).close()
    server.ask("CREATE OR REPLACE USER clerk@'127.0.0.1' IDENTIFIED BY 'c'")
    server.ask("GRANT SELECT, INSERT, UPDATE ON keyonce.* TO clerk@'127.0.0.1'")
    name = f"mysql://clerk:c@127.0.0.1:{server.port}/keyonce"
    threads, loop = MySQLStore(name), StorePortal(AsyncMySQLStore(name))

    for store in (threads, loop):
        [found] = [each for each in store.examine() if each.subject == "privileges"]
        assert "error" == found.level
        assert "DELETE" in found.detail
        assert "GRANT" in found.mend
        store.close()


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A server with the smallest packet that keyonce works with."""
    server = MariaDB(tmp_path_factory.mktemp("narrow"), packet=LEAST_PACKET)
    server.start()
    yield server
    server.stop()


def outcome(size, byte=b"\0", headers=()):
    return StoredResult(200, headers, byte * size, size=size)


@pytest.mark.parametrize("byte", [b"\0", b"'", b"\\", b"a", b"\xff"])
def test_the_largest_outcome_is_kept_whatever_its_bytes(narrow, opened, byte):
    store = opened(narrow.database("keyonce"))
    bound = store.traits.largest_result
    headers = ((b"x", b"\\" * (HEADERS - 1024)),)
    store.claim(claim_of())

    done = store.complete(completion_of(result=outcome(bound, byte, headers)))

    assert largest_result(LEAST_PACKET) == bound
    assert outcome(bound, byte, headers) == done.result
    assert done == record_in(store)


@pytest.mark.parametrize("more", [2 * HEADERS, 3 * MIB])
def test_what_is_larger_counts_as_done_without_its_body(narrow, opened, more):
    store = opened(narrow.database("keyonce"))
    size = store.traits.largest_result + more
    headers = ((b"content-type", b"text/plain"),)
    store.claim(claim_of())

    done = store.complete(completion_of(result=outcome(size, headers=headers)))

    assert Status.COMPLETED is done.status
    assert StoredResult(200, headers, kept=False, size=size) == done.result
    assert done == record_in(store)


def test_headers_that_fit_nowhere_are_left_out(narrow, opened):
    store = opened(narrow.database("keyonce"))
    headers = ((b"x", b"y" * (2 * MIB)),)
    store.claim(claim_of())
    store.claim(claim_of(named("lost")))
    store.abandon(named("lost"), claim_of().owner, "crashed")

    done = store.complete(completion_of(result=outcome(5, headers=headers)))
    settled = store.settle(
        settlement_of(named("lost"), result=outcome(5, headers=headers))
    )

    assert StoredResult(200, kept=False, size=5) == done.result == settled.result
    assert settled == record_in(store, named("lost"))


def test_a_packet_that_holds_next_to_nothing_is_refused(narrow):
    url = narrow.database("keyonce")
    narrow.ask("SET GLOBAL max_allowed_packet = 65536")
    try:
        with pytest.raises(ConfigurationError, match="set it to 64M"):
            MySQLStore(url)
    finally:
        narrow.ask(f"SET GLOBAL max_allowed_packet = {LEAST_PACKET}")


def test_the_servers_clock_is_used_in_utc(server, used_url, opened):
    store = opened(used_url)
    before = float(server.ask("SELECT UNIX_TIMESTAMP(NOW(6))")[0][0])

    claimed = store.claim(claim_of())

    after = float(server.ask("SELECT UNIX_TIMESTAMP(NOW(6))")[0][0])
    record = claimed.record
    assert before <= record.claimed_at == record.created_at <= claimed.now <= after
    assert record.claimed_at + record.lease_for == record.lease_until
    assert record == record_in(store, ORDER)
