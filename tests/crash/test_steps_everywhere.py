# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One kill stops eight orders, each at another of its steps: each effect comes once.

Under ASGI and WSGI, on more stores than one; `test_steps` goes through the store's own
points.
"""

from __future__ import annotations

import http.client
import json

import pytest

from tests.crash.app import Ledger
from tests.crash.orders import STEPS
from tests.crash.workers import LEASE, Worker
from tests.servers import postgres
from tests.servers.mariadb import MariaDB
from tests.servers.postgres import PostgresServer

PATH = "/orders"
STOPS = {
    f"{name}-{when}": [name, when] for name in STEPS for when in ("acted", "taken")
}


class Stepping(Worker):
    program = "tests.crash.stepping"


@pytest.fixture(scope="module")
def postgres_server():
    server = PostgresServer(postgres.newest()).start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def mariadb_server(tmp_path_factory):
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def store(request, tmp_path):
    match request.param:
        case "postgres":
            server = request.getfixturevalue("postgres_server")
            return server.url(server.new_database())
        case "mariadb":
            return request.getfixturevalue("mariadb_server").database("steps")
        case _:
            return f"sqlite:///{tmp_path}/keyonce.db"


@pytest.fixture
def worker(tmp_path):
    """Start worker processes, and end those that still live."""
    workers = []

    def start(side, store, **stops):
        settings = {
            "side": side,
            "store": store,
            "ledger": str(tmp_path / "ledger.db"),
            "lease": LEASE,
            "stops": stops,
        }
        workers.append(Stepping(settings, tmp_path / "log.txt"))
        return workers[-1]

    yield start
    for each in workers:
        each.close()


SERVED = pytest.mark.servers


@pytest.mark.parametrize(
    ("side", "store"),
    [
        ("wsgi", "sqlite"),
        pytest.param("wsgi", "postgres", marks=SERVED),
        pytest.param("asgi", "postgres", marks=SERVED),
        pytest.param("asgi", "mariadb", marks=SERVED),
    ],
    indirect=["store"],
)
def test_whatever_step_it_dies_at_each_effect_comes_once(worker, tmp_path, side, store):
    victim = worker(side, store, **STOPS)
    asked = [victim.posts(PATH, key) for key in STOPS]
    victim.reaches(*STOPS)
    victim.dies()
    for cut_off in asked:
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            cut_off.result()

    survivor, ledger = worker(side, store), Ledger(str(tmp_path / "ledger.db"))
    for key, (at, when) in STOPS.items():
        first, again = survivor.settled(PATH, key), survivor.settled(PATH, key)

        receipts = ledger.receipts(key)
        assert (201, receipts) == (first.status, json.loads(first.body)), key
        assert (first.status, first.body) == (again.status, again.body)
        assert again.replayed
        assert len(STEPS) == len(receipts)
        # What had acted and was not recorded acts again, with the same key downstream.
        twice = [at] if when == "acted" else []
        ran = {name: ledger.runs(f"{key} {name}") for name in STEPS}
        assert {name: 2 if name in twice else 1 for name in STEPS} == ran
    ledger.close()
