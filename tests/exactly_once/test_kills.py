# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever kills or fails the work between begin and commit: one effect in the end.

`scripts/exactly-once` plays many more rounds.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.exactly_once.rounds import CONTROL, ENDS, on_disk
from tests.exactly_once.shops import (
    KINDS,
    ON_MARIADB,
    ON_POSTGRES,
    ON_SQLITE,
    TABLE,
    ask,
)

PATIENCE = 280


pytestmark = pytest.mark.timeout(300)


def played(request, places, rounds):
    """Play *rounds* at each of *places*; give the rows of the table."""
    seed = request.config.getoption("randomly_seed", None) or 4
    for url in places.values():
        ask(url, TABLE)
    told = subprocess.run(
        [
            *(sys.executable, "-m", "tests.exactly_once.rounds"),
            *("--rounds", str(rounds), "--seed", str(seed)),
            *(f"{kind}={url}" for kind, url in places.items()),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert told.returncode == 0, told.stderr + told.stdout
    cells = [line.strip("| ").split("|") for line in told.stdout.splitlines()[2:]]
    return {row[0].strip(): [int(cell) for cell in row[1:]] for row in cells}


def holds(rows, rounds):
    for driver, (_, played_, kills, raises, *effects) in rows.items():
        assert (rounds, rounds, 0, 0) == (played_, *effects), driver
        assert kills > 0
        assert raises > 0


def test_on_sqlite_each_point_of_each_form_is_died_and_failed_at(request, tmp_path):
    places = {each.__name__: on_disk(tmp_path / each.__name__) for each in ON_SQLITE}

    rows = played(request, places, len(ENDS))

    assert set(places) == set(rows)
    holds(rows, len(ENDS))


@pytest.mark.servers
def test_on_servers_some_of_them(request, postgres_server, mariadb_server):
    places = {
        each.__name__: postgres_server.url(postgres_server.new_database())
        for each in ON_POSTGRES
    }
    for each in ON_MARIADB:
        places[each.__name__] = mariadb_server.database(each.__name__.lower())

    rows = played(request, places, 12)

    assert {*KINDS} - {each.__name__ for each in ON_SQLITE} == set(rows)
    holds(rows, 12)


def test_without_a_transaction_effects_are_doubled(request, tmp_path):
    rows = played(request, {CONTROL: on_disk(tmp_path / "shop.db")}, len(ENDS))

    *_, effects, doubled, lost = rows[CONTROL]
    assert effects == len(ENDS) + doubled
    assert doubled > 0
    assert lost == 0
