# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Reservations: whatever races or is killed, ten lamps go to ten requests."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import NamedTuple

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from tests.examples.programs import WITHIN, Answer, Example, Program, Request
from tests.examples.readmes import killed_at

POINTS = killed_at("inventory")
RACERS, PROCESSES = 50, 4
LAMPS, CHAIRS = 10, 9


def reservation(sku: str, key: str) -> Request:
    return Request("POST", "/reservations", {"sku": sku}, key)


def insists(app: Program, sku: str, key: str) -> Answer:
    """Ask as a patient caller does: again after a 5xx, and while told to wait."""
    until = time.monotonic() + WITHIN
    while (answer := app.settled(reservation(sku, key))).status >= 500:
        assert time.monotonic() < until, answer
        time.sleep(0.1)
    return answer


@contextmanager
def books(url: str) -> Iterator[Connection]:
    """Look into the database of the stock from outside."""
    at = url.replace("postgresql:", "postgresql+psycopg:")
    with create_engine(at, poolclass=NullPool).begin() as connection:
        yield connection


def reserved(url: str, sku: str) -> list[str]:
    """Give the ids of all reservations of *sku*, in their order."""
    query = text("SELECT id FROM reservations WHERE sku = :sku ORDER BY id")
    with books(url) as connection:
        return list(connection.execute(query, {"sku": sku}).scalars())


def available(url: str, sku: str) -> int:
    query = text("SELECT available FROM stock WHERE sku = :sku")
    with books(url) as connection:
        left: int = connection.execute(query, {"sku": sku}).scalar_one()
    return left


class Shop(NamedTuple):
    """Processes over one database that sells lamps, of which there are ten."""

    url: str
    workers: list[Program]


def opened(example: Example, url: str) -> Shop:
    first = example.start()  # makes the tables, alone: PostgreSQL minds a race for that
    with ThreadPoolExecutor(PROCESSES) as pool:
        others = pool.map(lambda _: example.start(), range(PROCESSES - 1))
        return Shop(url, [first, *others])


@pytest.fixture(scope="module")
def on_sqlite(examples) -> Shop:
    """One that was killed at each point before, as it sold chairs."""
    example = examples("inventory")
    example.kills({point: reservation("chair", point) for point in POINTS})
    return opened(example, f"sqlite:///{example.folder}/inventory.db")


@pytest.fixture(scope="module")
def on_postgres(postgres, examples) -> Shop:
    return opened(examples("inventory", DATABASE_URL=postgres), postgres)


@pytest.mark.parametrize(
    "shop", ["on_sqlite", pytest.param("on_postgres", marks=pytest.mark.servers)]
)
def test_fifty_racers_for_ten_lamps_do_not_get_an_eleventh(shop, request):
    url, workers = request.getfixturevalue(shop)
    keys = [f"race-{number % (RACERS // 2)}" for number in range(RACERS)]  # each twice
    start = Barrier(RACERS)

    def races(number: int) -> Answer:
        start.wait(WITHIN)
        return insists(workers[number % PROCESSES], "lamp", keys[number])

    with ThreadPoolExecutor(RACERS) as pool:
        answers = list(pool.map(races, range(RACERS)))
    told = dict(zip(keys, answers, strict=True))
    later = {key: insists(workers[0], "lamp", key) for key in told}

    assert Counter({201: LAMPS, 409: len(told) - LAMPS}) == Counter(
        answer.status for answer in told.values()
    )
    for key, answer in zip(keys, answers, strict=True):
        assert told[key].outcome == answer.outcome == later[key].outcome
    given = [answer.json["reservation"] for answer in told.values() if is_given(answer)]
    assert sorted(given) == reserved(url, "lamp")
    assert 0 == available(url, "lamp")


def is_given(answer: Answer) -> bool:
    return answer.status == 201


@pytest.mark.parametrize("point", POINTS)
def test_a_retry_of_a_killed_reservation_finds_one(on_sqlite, point):
    first, again = (insists(worker, "chair", point) for worker in on_sqlite.workers[:2])

    assert 201 == first.status
    assert first.outcome == again.outcome
    assert again.replayed
    ours = [
        name for name in reserved(on_sqlite.url, "chair") if name in first.body.decode()
    ]
    assert [first.json["reservation"]] == ours


def test_the_stock_has_gone_down_once_for_each_killed_reservation(on_sqlite):
    for point in POINTS:
        insists(on_sqlite.workers[0], "chair", point)

    assert len(POINTS) == len(reserved(on_sqlite.url, "chair"))
    assert CHAIRS - len(POINTS) == available(on_sqlite.url, "chair")
