# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a role needs on tables of another: what the messages print, and no less."""

from __future__ import annotations

import re
from datetime import timedelta

import psycopg
import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Settlement
from keyonce.core.states import Status
from keyonce.stores.postgres import PostgresStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    record_in,
    taken_over,
)
from tests.stores.postgres.test_opening import run_sql

RIGHTS = {
    "keyonce_records": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "keyonce_renewals": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "keyonce_outcomes": ("SELECT", "INSERT"),
    "keyonce_audits": ("SELECT", "INSERT"),
    "keyonce_schema": ("SELECT",),
}


@pytest.fixture
def clerk(quick_server):
    """Give the owner's URL and that of a role that is granted what is printed."""
    owner = quick_server.url(quick_server.new_database())
    run_sql(owner, "CREATE ROLE clerk LOGIN PASSWORD 'c'")
    parts = psycopg.conninfo.conninfo_to_dict(owner)
    url = f"postgresql://clerk:c@{parts['host']}:{parts['port']}/{parts['dbname']}"
    try:
        with pytest.raises(ConfigurationError) as refusal:
            PostgresStore(url)
        PostgresStore(owner).close()
        grants = re.findall(r"GRANT [A-Z, ]+ ON [a-z_, ]+", str(refusal.value))
        for each in grants:
            run_sql(owner, f"{each} TO clerk")
        yield owner, url
    finally:
        run_sql(owner, "DROP OWNED BY clerk", "DROP ROLE clerk")


def test_what_a_refusal_prints_makes_a_store_that_works(clerk):
    _, url = clerk
    clock = FakeClock()
    store = PostgresStore(url, clock=clock, migrate=False)

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
    assert {"ok"} == {each.level for each in store.examine() if "priv" in each.subject}
    store.close()


def test_with_it_outcomes_are_kept_in_partitions_that_others_make(clerk):
    owner, url = clerk
    clock = FakeClock()
    day = timedelta(days=1)
    PostgresStore(owner, clock=clock, partitions=day).close()
    store = PostgresStore(url, clock=clock, migrate=False)

    store.claim(claim_of())
    assert store.complete(completion_of()) is not None
    assert record_in(store).result is not None
    store.close()


@pytest.mark.parametrize(
    ("table", "right"), [(table, right) for table in RIGHTS for right in RIGHTS[table]]
)
def test_each_right_that_is_missing_is_named(clerk, table, right):
    owner, url = clerk
    store = PostgresStore(url)
    run_sql(owner, f"REVOKE {right} ON {table} FROM clerk")

    [found] = [each for each in store.examine() if each.subject == "privileges"]

    assert ("error", f"This role lacks {right} on {table}.") == (
        found.level,
        found.detail,
    )
    assert "GRANT SELECT ON keyonce_schema" in found.mend
    store.close()
