# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a user needs on the tables: what the messages print, and no less."""

from __future__ import annotations

import re

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Settlement
from keyonce.core.states import Status
from keyonce.stores.mysql import AsyncMySQLStore, MySQLStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.portal import StorePortal
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completed,
    named,
    taken_over,
)

ALL = ("SELECT", "INSERT", "UPDATE", "DELETE")
RIGHTS = {
    "keyonce_records": ALL,
    "keyonce_renewals": ALL,
    "keyonce_audits": ("SELECT", "INSERT"),
    "keyonce_schema": ("SELECT",),
}
CLERK = "clerk@'127.0.0.1'"


@pytest.fixture
def clerk(server, url):
    """Give the URL of a user who is granted what is printed."""
    MySQLStore(url).close()
    server.ask(f"CREATE OR REPLACE USER {CLERK}")
    # So that the database is there for it, but none of the tables.
    server.ask(f"GRANT SHOW VIEW ON keyonce.* TO {CLERK}")
    clerk = server.url("keyonce", user="clerk")
    with pytest.raises(ConfigurationError) as refusal:
        MySQLStore(clerk)
    for rights, table in re.findall(r"GRANT ([A-Z, ]+) ON (\w+)", str(refusal.value)):
        server.ask(f"GRANT {rights} ON keyonce.{table} TO {CLERK}")
    yield clerk
    server.ask(f"DROP USER {CLERK}")


def test_what_a_refusal_prints_makes_a_store_that_works(clerk):
    clock = FakeClock()
    store = MySQLStore(clerk, clock=clock)

    again = Guarantee.AT_LEAST_ONCE
    store.claim(claim_of(guarantee=again))
    assert store.renew(ORDER, FIRST) is not None
    assert SECOND == taken_over(store, clock, guarantee=again).owner
    store.abandon(ORDER, SECOND, "lost")
    store.settle(Settlement(ORDER, "looked", "me", retention_for=HOUR))
    completed(store, named("done"))
    assert Status.COMPLETED is store.claim(claim_of(named("done"))).record.status
    assert 2 == sum(store.stats().counts.values())
    assert 1 == len(store.audits())
    clock.advance(9 * HOUR)
    assert 2 == store.purge()
    assert "ok" == privileges(store).level
    store.close()


@pytest.mark.parametrize(
    ("table", "right"), [(table, right) for table in RIGHTS for right in RIGHTS[table]]
)
def test_each_right_that_is_missing_is_named(server, clerk, table, right):
    stores = MySQLStore(clerk), StorePortal(AsyncMySQLStore(clerk))
    server.ask(f"REVOKE {right} ON keyonce.{table} FROM {CLERK}")

    for store in stores:
        found = privileges(store)

        assert "error" == found.level
        assert right in found.detail
        assert table in found.detail
        assert "GRANT SELECT ON keyonce_schema" in found.mend
        store.close()


def privileges(store):
    [found] = [each for each in store.examine() if each.subject == "privileges"]
    return found
