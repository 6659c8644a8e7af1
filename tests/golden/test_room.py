# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What `keyonce plan` reckons, beside stores that were filled for real."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from keyonce.core.model import Fingerprint, Identity, StoredResult
from keyonce.stores.sqlite import AsyncSQLiteStore
from keyonce.testing.store_scenarios.cases import claim_of, completion_of
from tests.cli.conftest import run

KEYS = 20_000
AT_ONCE = 500
WITHIN = 0.25

pytestmark = pytest.mark.timeout(400)


def planned(url, body):
    """The bytes for KEYS keys: so many as come in a day, at one each second."""
    told = run(
        *("plan", "--store", url, "--rate", "1/s", "--retention", f"{KEYS}s"),
        *("--body", f"{body}B", "--headers", "0B", "--duplicates", "0%", "--json"),
    ).json
    (store,) = told["stores"]
    assert KEYS == store["rows"]
    return store["disk"]


def work(number, body):
    mixed = number * 0x9E3779B97F4A7C15 % 2**64  # keys come in no order
    key = f"{mixed:016x}-4f5e-8a1b-{number:010x}"
    identity = Identity("a-scope-of-22-letters-", "POST /orders", key)
    claim = claim_of(
        identity,
        b"%016d" % number,
        fingerprint=Fingerprint("v1", b"d" * 32),
        field_map=lambda _: b"",
    )
    result = StoredResult(201, (), b"n" * body, size=body)
    return claim, completion_of(identity, claim.owner, result=result)


@pytest.mark.parametrize("body", [300, 3000])
async def test_sqlite_is_as_large_as_planned(body, new_place):
    place = new_place("sqlite")
    store = AsyncSQLiteStore(place.url, purge_every=None)

    async def one(number):
        claim, completion = work(number, body)
        await store.claim(claim)
        await store.complete(completion)

    for start in range(0, KEYS, AT_ONCE):
        await asyncio.gather(*map(one, range(start, start + AT_ONCE)))
    await store.close()
    place.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    real = place.path.stat().st_size

    assert real == pytest.approx(planned(place.url, body), rel=WITHIN)


@pytest.mark.servers
@pytest.mark.parametrize("body", [300, 3000])
def test_postgres_is_as_large_as_planned(body, new_place):
    place = new_place("postgres")
    store = place.open()

    def one(number):
        claim, completion = work(number, body)
        store.claim(claim)
        store.complete(completion)

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(one, range(KEYS)):
            pass
    store.close()

    real = int(
        place.rows(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
            r"WHERE relname LIKE 'keyonce\_%' AND relkind IN ('r', 'p')"
        )[0][0]
    )

    assert real == pytest.approx(planned(place.url, body), rel=WITHIN)
