# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""``keyonce plan``: the arithmetic, its bounds, and what was measured."""

from __future__ import annotations

import pytest

from keyonce.cli.measured import DYNAMODB, MYSQL, POSTGRES, REDIS, SQLITE, STORES, Shown
from keyonce.cli.sizing import Demand, at, need_of
from keyonce.core.model import Record, StoredResult
from keyonce.core.states import Status
from keyonce.stores.dynamodb.items import item_of
from keyonce.stores.dynamodb.procedures import LARGEST_RESULT
from keyonce.stores.mysql.opening import largest_result
from keyonce.stores.redis.procedures import LARGEST_RESULT as REDIS_LARGEST
from keyonce.testing.store_scenarios.cases import claim_of
from tests.cli.conftest import run

DAY = 86_400.0
SHOP = Demand(rate=100.0, retention=DAY, body=2000, headers=48, duplicates=0.5)
ASKED = ("--rate", "100/s", "--retention", "1d", "--body", "2000B", "--headers", "48B")


def plan(*options, **given):
    return run("plan", *ASKED, "--duplicates", "50%", *options, **given)


def test_rows_are_the_new_keys_of_one_retention():
    assert (50.0, 4_320_000, 2048) == (SHOP.fresh, SHOP.rows, SHOP.answer)


def test_room_is_read_between_and_beyond_what_was_measured():
    room = (Shown(0, 100), Shown(10, 300), Shown(110, 400))

    assert [100, 200, 300, 350, 400, 500] == [
        at(size, room) for size in (0, 5, 10, 60, 110, 210)
    ]


def test_a_need_is_rows_times_what_was_measured():
    need = need_of(SHOP, POSTGRES)

    assert round(4_320_000 * dict(POSTGRES.room)[2048]) == need.disk
    assert round(4_320_000 * POSTGRES.hot) == need.memory
    # 50 first requests of two trips and two writes, 50 replays of one trip.
    assert (100.0, 150.0, 50.0, 1) == (
        need.writes,
        need.trips,
        need.purge,
        need.connections,
    )
    assert need.fits


def test_mysql_takes_a_trip_more():
    assert (100.0, 200.0) == (need_of(SHOP, MYSQL).writes, need_of(SHOP, MYSQL).trips)


def test_redis_holds_all_in_memory_and_removes_it_by_itself():
    need = need_of(SHOP, REDIS)

    assert (need.disk, 0.0) == (need.memory, need.purge)


def test_dynamodb_is_billed_by_the_kibibyte():
    need = need_of(SHOP, DYNAMODB)

    # A claim: one unit, one for the index. An outcome of 2476 bytes: three, and one.
    assert 50.0 * (2 + 4) == need.write_units
    assert 50.0 * 1 == need.read_units
    assert None is need_of(SHOP, SQLITE).write_units


def size_by_the_rules(item):
    """The size of an item as AWS documents it."""
    total = 0
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        digits = value.replace(".", "").strip("0") if kind == "N" else ""
        number = (len(digits) + 1) // 2 + 1
        total += len(name) + (number if kind == "N" else len(value))
    return total


def test_a_dynamodb_item_is_as_large_as_it_is_reckoned():
    command = claim_of(field_map=lambda _: b"")
    identity = command.identity._replace(
        scope="s" * 22, operation="POST /orders", key="k" * 36
    )
    now = 1_800_000_000.123
    claimed = Record(
        identity,
        Status.IN_PROGRESS,
        command.guarantee,
        command.owner,
        1,
        now,
        now,
        30.0,
        lease_until=now + 30,
        fingerprint=command.fingerprint._replace(scheme="v1"),
    )
    result = StoredResult(201, (), b"n" * 2048, size=2048)
    done = claimed._replace(
        status=Status.COMPLETED,
        ended_at=now + 0.2,
        expires_at=now + DAY,
        result=result,
        lease_until=now + 30,
    )

    assert DYNAMODB.claimed == pytest.approx(size_by_the_rules(item_of(claimed)), abs=8)
    reckoned = at(2048, DYNAMODB.room) - DYNAMODB.overhead
    assert reckoned == pytest.approx(size_by_the_rules(item_of(done)), abs=8)


def test_bounds_are_those_of_the_stores():
    assert LARGEST_RESULT == DYNAMODB.largest
    assert REDIS_LARGEST == REDIS.largest
    assert largest_result(16 * 1024 * 1024) == MYSQL.largest


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--store", "sqlite:///x.db", "--rate", "9000/s"), "too many"),
        (("--store", "dynamodb://x", "--body", "400KiB"), "not kept"),
        (("--store", "dynamodb://x", "--rate", "9000/s"), "index of open records"),
        (("--store", "redis://h", "--retention", "400d"), "use a Cluster"),
        (("--store", "mariadb://h/d", "--body", "9MiB"), "max_allowed_packet"),
        (("--store", "mysql://h/d", "--rate", "20000/s"), "expire a second"),
    ],
)
def test_what_a_store_cannot_do_is_told_and_ends_with_1(options, words):
    ran = plan(*options, columns=200)

    assert (1, True) == (ran.code, words in ran.out)


def test_what_is_near_the_bound_is_told_and_ends_with_0():
    ran = plan("--store", "sqlite:///x.db", "--rate", "1500/s", columns=200)

    assert (0, True) == (ran.code, "over half of the" in ran.out)


def test_without_a_store_all_are_compared():
    ran, told = plan("--rate", "9000/s"), plan("--json").json

    assert 0 == ran.code
    names = [each.name for each in STORES]
    assert names == [each["store"] for each in told["stores"]]
    assert [] == [name for name in names if name not in ran.out]
    assert (50.0, 4_320_000) == (told["demand"]["fresh"], told["demand"]["rows"])


@pytest.mark.parametrize("url", ["redis+cluster://h", "rediss://h", "unix:///x"])
def test_a_store_is_known_by_its_url(url):
    assert ["redis"] == [
        each["store"] for each in plan("--store", url, "--json").json["stores"]
    ]


@pytest.mark.parametrize(
    ("option", "value", "mend"),
    [
        ("--rate", "500", "'500/s'"),
        ("--rate", "0/s", "'500/s'"),
        ("--rate", "5/y", "'500/s'"),
        ("--retention", "7", "'7d'"),
        ("--body", "big", "'2KiB'"),
        ("--duplicates", "100%", "'5%'"),
        ("--duplicates", "0.5", "'5%'"),
        ("--store", "memory://", "nothing was measured"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_mend(option, value, mend):
    ran = plan(option, value)

    assert (2, True) == (ran.code, mend in ran.err)


@pytest.mark.parametrize(
    "url",
    [
        "sealed+postgresql://db/shop",
        "tiered://?fast=redis://cache&durable=postgresql://db/shop",
        "sealed+tiered://?fast=memory://&durable=postgresql://db/shop",
    ],
)
def test_of_a_store_within_another_the_inner_one_is_reckoned(url):
    inner = plan("--store", "postgresql://db/shop", "--json").json

    told = plan("--store", url)

    assert inner == plan("--store", url, "--json").json
    assert "Reckoned for the store that holds the records." in " ".join(
        told.out.split()
    )
