# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What doctor finds in a server, and what is between here and there."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from keyonce.stores.postgres.asyncpg_pool import AsyncpgPool
from keyonce.stores.postgres.examine import examine
from keyonce.stores.statement import Statement
from keyonce.testing.store_scenarios.cases import FIRST, SECOND, claim_of, completion_of


def levels(findings):
    return {each.subject: each.level for each in findings}


def detail(findings, subject):
    return next(each.detail for each in findings if each.subject == subject)


def test_a_durable_primary_is_fine(url):
    store = PostgresStore(url)

    findings = store.examine()

    assert {"ok"} == set(levels(findings).values())
    assert "none" == detail(findings, "pooler")
    store.close()


def test_what_a_crash_forgets_is_an_error(quick_server):
    store = PostgresStore(quick_server.url(quick_server.new_database()))

    found = levels(store.examine())

    assert ("error", "error") == (found["fsync"], found["synchronous_commit"])
    store.close()


@pytest.mark.parametrize("kind", ["url", "word"])
def test_what_is_declared_as_enough_is_a_warning(quick_server, kind):
    url = quick_server.url(quick_server.new_database())
    if kind == "url":
        store = PostgresStore(f"{url}?durability=declared&application_name=shop")
        loop = AsyncPostgresStore(f"{url}?durability=declared")
    else:
        store = PostgresStore(url, durability="declared")
        loop = AsyncPostgresStore(url, durability="declared")

    found = [levels(store.examine()), levels(asyncio.run(examined(loop)))]

    for each in found:
        assert ("warning", "warning") == (each["fsync"], each["synchronous_commit"])
    assert "declared" in detail(store.examine(), "fsync").lower()
    store.close()


async def examined(store):
    findings = await store.examine()
    await store.close()
    return findings


def test_another_word_for_durability_is_refused():
    with pytest.raises(ConfigurationError, match="'checked' or 'declared', not 'low'"):
        PostgresStore("postgresql://127.0.0.1/shop?durability=low")


def test_a_role_may_be_more_careful_than_the_server(quick_server):
    url = quick_server.url(quick_server.new_database())
    store = PostgresStore(f"{url}?options=-c%20synchronous_commit%3Don")

    assert "ok" == levels(store.examine())["synchronous_commit"]
    store.close()


def look(settings, *, ahead=0.0):
    """Play the server, with a clock that is *ahead* of this machine's."""
    row = ["15.0", True, "on", "", "read committed", False, False]
    row += [time.time() + ahead, True, None, True]
    for place, value in settings.items():
        row[place] = value
    steps = examine(time.time, "checked")
    assert Statement("settings") == next(steps)
    assert Statement("schema_version") == steps.send([tuple(row)])
    with pytest.raises(StopIteration) as end:
        steps.send([(2,)])
    return end.value.value


@pytest.mark.parametrize(
    ("settings", "ahead", "subject", "level"),
    [
        ({}, 0.0, "clock", "ok"),
        ({}, 60.0, "clock", "warning"),
        ({}, -60.0, "clock", "warning"),
        ({5: True}, 0.0, "primary", "error"),
        ({6: True}, 0.0, "primary", "error"),
        ({2: "remote_write", 3: "other"}, 0.0, "synchronous_commit", "warning"),
        ({2: "on", 3: "other"}, 0.0, "synchronous_commit", "ok"),
        ({2: "off", 3: "other"}, 0.0, "synchronous_commit", "error"),
        ({8: False}, 0.0, "full_page_writes", "warning"),
        ({9: "DELETE on keyonce_records"}, 0.0, "privileges", "error"),
    ],
)
def test_settings_are_judged(settings, ahead, subject, level):
    findings = look(settings, ahead=ahead)

    assert level == levels(findings)[subject]
    assert all(each.mend for each in findings if each.level != "ok")


def test_a_replica_is_refused_and_follows_its_primary(server, replica, url):
    name = url.rpartition("/")[2]
    store = PostgresStore(url)
    store.claim(claim_of())
    store.close()
    until_there(replica, name)

    with pytest.raises(ConfigurationError, match="Name the primary"):
        PostgresStore(replica.url(name))


def until_there(replica, name):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if replica.run_sql("SELECT 1 FROM keyonce_records", name):
                return
        except Exception:  # noqa: BLE001 - the database is not there yet
            time.sleep(0.05)
        time.sleep(0.02)
    raise AssertionError("the replica did not follow")


@pytest.fixture
def replica(server):
    replica = server.replica()
    yield replica
    replica.close()


async def test_a_pooler_is_found_out(quick_server, pooler):
    url = pooler.url(quick_server.new_database())

    store = PostgresStore(url)
    there = detail(store.examine(), "pooler")
    store.close()
    loop = AsyncPostgresStore(url)
    there_too = detail(await loop.examine(), "pooler")
    await loop.close()

    assert there.startswith("there is one")
    assert there == there_too


async def test_many_share_few_sessions_behind_a_pooler(quick_server, pooler):
    store = AsyncPostgresStore(pooler.url(quick_server.new_database()), pool_size=12)

    async def life(number):
        identity = claim_of().identity._replace(key=str(number))
        owner = b"%016d" % number
        claimed = await store.claim(claim_of(identity, owner))
        done = await store.complete(completion_of(identity, owner))
        again = await store.claim(claim_of(identity, SECOND))
        return claimed.record.owner == owner and done == again.record

    assert all(await asyncio.gather(*map(life, range(200))))
    await store.close()


async def test_a_pool_of_asyncpg_may_lead_through_a_pooler(quick_server, pooler):
    url = pooler.url(quick_server.new_database())
    pool = await asyncpg.create_pool(url, min_size=1, statement_cache_size=0)
    store = AsyncPostgresStore(AsyncpgPool(pool, url=url))

    owners = [(await store.claim(claim_of())).record.owner for _ in range(8)]

    assert {FIRST} == set(owners)
    assert detail(await store.examine(), "pooler").startswith("there is one")
    await store.close()
    await pool.close()
