# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Two durable stores behind one cache never answer for each other."""

from __future__ import annotations

import os
import socket
from base64 import b64encode

import pytest
import redis

from keyonce.core.errors import ConfigurationError
from keyonce.core.model import StoredResult
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.stores.postgres import PostgresStore
from keyonce.stores.sealed import AsyncSealed, KeyRing, Sealed
from keyonce.stores.tiered import AsyncTiered, MemoryCache, Tiered
from keyonce.stores.tiered.address import tiered_url
from keyonce.stores.tiered.naming import prefix_for
from keyonce.stores.url import open_async_store, open_store
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    SECOND,
    claim_of,
    completed,
    completion_of,
    record_in,
)
from tests.stores.postgres.test_opening import run_sql
from tests.stores.tiered.samples import SEALED, OpenCache

KEY = "2026:0123456789abcdef0123456789abcdef"
RING = KeyRing({"2026": b"k" * 32}, "2026")
PG = "postgresql://me@h/shop"
OTHERS = [
    (PG, "postgresql://me@h2/shop"),
    (PG, "postgresql://me@h:5433/shop"),
    (PG, "postgresql://me@h/other"),
    (PG, "postgresql://you@h/shop"),
    (PG, f"{PG}?options=-csearch_path%3Dtenant_2"),
    (f"{PG}?options=-csearch_path%3Da", f"{PG}?options=-csearch_path%3Db"),
    ("postgresql://me@/shop?host=/run/a", "postgresql://me@/shop?host=/run/b"),
    (f"{PG}?hostaddr=10.0.0.1", f"{PG}?hostaddr=10.0.0.2"),
    (f"{PG}?port=1", f"{PG}?port=2"),
    (f"{PG}?dbname=a", f"{PG}?dbname=b"),
    (f"{PG}?service=a", f"{PG}?service=b"),
    ("mysql://h/shop", "mysql://h/other"),
    ("mysql://h/shop", "mysql://h:3307/shop"),
    ("mysql://h/shop?unix_socket=/run/a", "mysql://h/shop?unix_socket=/run/b"),
    ("redis://h:1/0", "redis://h:1/1"),
    ("redis://h:1/0?prefix=a", "redis://h:1/0?prefix=b"),
    ("redis://h?db=1", "redis://h?db=2"),
    ("unix:///run/a.sock", "unix:///run/b.sock"),
    ("redis+sentinel://h1/m1", "redis+sentinel://h1/m2"),
    ("dynamodb://t", "dynamodb://t2"),
    ("dynamodb://t?region=eu-central-1", "dynamodb://t?region=us-east-1"),
    ("dynamodb://t?endpoint=http://a", "dynamodb://t?endpoint=http://b"),
    ("sqlite:///a.db", "sqlite:///b.db"),
    ("memory://", "memory://"),
]
SAME = [
    (PG, "postgres://me@h/shop"),
    ("postgresql://me:one@h/shop", "postgresql://me:two@h/shop"),
    (PG, "postgresql://me:one@h/shop"),
    (f"{PG}?password=one", f"{PG}?password=two"),
    (PG, f"{PG}?sslmode=require&connect_timeout=3&durability=declared&migrate=no"),
    (PG, f"{PG}?keyonce_partitions=1d"),
    (f"{PG}?port=1&dbname=a", f"{PG}?dbname=a&port=1"),
    ("mysql://h/shop", "mariadb://h/shop?ssl=true&durability=declared"),
    ("dynamodb://t?region=eu-central-1", "dynamodb://t?region=eu-central-1&skew=2s"),
]
LOCAL = [
    "sqlite:////var/lib/shop.db",
    "postgresql:///shop",
    "postgresql://localhost/shop",
    "postgresql://me:p@127.0.0.1:5432/shop",
    "postgresql://[::1]/shop",
    "postgresql:///shop?host=/run/postgresql",
    "mysql://db/shop?unix_socket=/run/mysql.sock",
    "redis://localhost",
    "unix:///run/redis.sock",
    "dynamodb://t?endpoint=http://localhost:8000",
]


@pytest.mark.parametrize(("one", "two"), OTHERS)
def test_what_names_another_place_gives_another_prefix(one, two):
    assert prefix_for(one) != prefix_for(two)


@pytest.mark.parametrize(("one", "two"), SAME)
def test_secrets_and_tuning_do_not(one, two):
    assert prefix_for(one) == prefix_for(two)


@pytest.mark.parametrize("url", LOCAL)
def test_what_is_on_this_machine_is_not_what_another_has(url, monkeypatch):
    here = prefix_for(url)
    monkeypatch.setattr(socket, "gethostname", lambda: "another")

    assert here != prefix_for(url)


def test_what_is_elsewhere_is_the_same_for_all_machines(monkeypatch):
    here = prefix_for(PG)
    monkeypatch.setattr(socket, "gethostname", lambda: "another")

    assert here == prefix_for(PG)


def test_a_relative_path_is_that_of_the_working_directory(tmp_path, monkeypatch):
    absolute = prefix_for(f"sqlite:///{tmp_path}/shop.db")
    before = prefix_for("sqlite:///shop.db")
    monkeypatch.chdir(tmp_path)

    assert absolute == prefix_for("sqlite:///shop.db")
    assert absolute != before


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (PG, "PGOPTIONS"),
        ("postgresql://", "PGHOST"),
        ("postgresql://", "PGDATABASE"),
        ("dynamodb://t", "AWS_REGION"),
        ("dynamodb://t", "AWS_PROFILE"),
    ],
)
def test_what_the_driver_takes_from_the_environment_counts(url, name, monkeypatch):
    monkeypatch.delenv(name, raising=False)
    without = prefix_for(url)
    monkeypatch.setenv(name, "other")

    assert without != prefix_for(url)
    assert "other" == os.environ[name]


def test_tenants_who_are_schemas_get_their_own_answers(server, postgres, monkeypatch):
    monkeypatch.setenv("CACHE_SECRET", KEY)
    database = postgres.url(postgres.new_database())
    run_sql(database, "CREATE SCHEMA one", "CREATE SCHEMA two")
    urls = [f"{database}?options=-csearch_path%3D{name}" for name in ("one", "two")]
    for url in urls:
        PostgresStore(url).close()
    tiered = [
        open_store(
            tiered_url(server.url, url, secret_env="CACHE_SECRET", timeout="5000ms")
        )
        for url in urls
    ]

    completed(tiered[0])

    assert FIRST == tiered[0].claim(claim_of(owner=SECOND)).record.owner
    assert SECOND == tiered[1].claim(claim_of(owner=SECOND)).record.owner
    other = StoredResult(200, (), b"of two", size=6)
    tiered[1].complete(completion_of(owner=SECOND, result=other))
    assert [ANSWER, other] == [record_in(store).result for store in tiered]
    for store in tiered:
        store.close()


def test_one_memory_cache_before_two_stores_keeps_them_apart():
    cache = MemoryCache()
    one, two = Tiered(cache, MemoryStore()), Tiered(cache, MemoryStore())

    completed(one)

    assert SECOND == two.claim(claim_of(owner=SECOND)).record.owner


# ------------------------------------------------- sealed below a shared cache


def test_a_sealed_store_below_a_shared_cache_is_refused():
    for make in (
        lambda: Tiered(OpenCache(), Sealed(MemoryStore(), RING), **SEALED),
        lambda: AsyncTiered(
            OpenCache(), AsyncSealed(AsyncMemoryStore(), RING), **SEALED
        ),
    ):
        with pytest.raises(ConfigurationError, match=r"Sealed\(Tiered\("):
            make()


def test_below_a_cache_in_memory_it_is_fine():
    store = Tiered(MemoryCache(), Sealed(MemoryStore(), RING))

    assert ANSWER == completed(store).result


@pytest.mark.parametrize("opener", [open_store, open_async_store])
def test_a_url_that_seals_below_the_cache_is_refused(opener, monkeypatch, tmp_path):
    monkeypatch.setenv("CACHE_SECRET", KEY)
    durable = f"sealed+sqlite:///{tmp_path}/keyonce.db"

    with pytest.raises(ConfigurationError, match=r"sealed\+tiered://"):
        opener(tiered_url("redis://h", durable, secret_env="CACHE_SECRET"))
    assert [] == list(tmp_path.iterdir())


def test_sealed_above_the_cache_leaves_nothing_in_the_clear(
    server, monkeypatch, tmp_path
):
    monkeypatch.setenv("CACHE_SECRET", KEY)
    monkeypatch.setenv("KEYONCE_SEAL_KEYS", f"2026:{b64encode(b'k' * 32).decode()}")
    durable = f"sqlite:///{tmp_path}/keyonce.db"
    url = tiered_url(server.url, durable, secret_env="CACHE_SECRET", timeout="5000ms")
    store = open_store(f"sealed+{url}")
    said = b"nobody else is to read this"

    store.claim(claim_of())
    store.complete(completion_of(result=StoredResult(200, (), said, size=len(said))))
    replayed = store.claim(claim_of(owner=SECOND)).record.result
    replayed = store.claim(claim_of(owner=SECOND)).record.result

    assert replayed is not None
    assert said == replayed.body
    assert store.counts["hit"]  # type: ignore[attr-defined]
    with redis.Redis.from_url(server.url) as client:
        held = [client.get(name) for name in client.scan_iter()]
    assert held
    assert not [entry for entry in held if said in entry]
    store.close()
