# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Two versions on one database: today's beside tomorrow's, and beside yesterday's."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.core.states import Status
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.claims import Claims
from keyonce.testing.store_scenarios.endings import Endings
from keyonce.testing.store_scenarios.leases import Leases
from keyonce.testing.store_scenarios.operators import Operators
from keyonce.testing.store_scenarios.retention import Retention
from tests.golden.conftest import SQL_STORES

HERE = Path(__file__).parent
ADDED = "900_pre_shades.sql"
TAKEN_AWAY = "901_post_shades.sql"
TEXT = {"sqlite": "TEXT", "postgres": "TEXT", "mysql": "VARCHAR(20)"}


def future(place):
    """What a later version may add: a column, a table, an index."""
    text = TEXT[place.name]
    return f"""
        ALTER TABLE keyonce_records ADD COLUMN shade {text} NOT NULL DEFAULT 'grey';
        CREATE TABLE keyonce_shades (name {text} NOT NULL, light INT);
        CREATE INDEX keyonce_by_shade ON keyonce_records (shade, created_at);
    """


class TestBesideTomorrow(Claims, Leases, Endings, Retention, Operators):
    """The contract, on a database that a later version has added to."""

    @pytest.fixture
    def clock(self):
        return FakeClock()

    @pytest.fixture(params=SQL_STORES)
    def store(self, request, clock, new_place):
        place = new_place(request.param)
        place.open().close()
        place.apply(ADDED, future(place))
        store = place.open(clock=clock)
        yield store
        store.close()


@pytest.mark.parametrize("name", SQL_STORES)
def test_beside_what_took_something_away_nobody_works(name, new_place):
    place = new_place(name)
    place.open().close()
    place.apply(ADDED, future(place))
    place.apply(TAKEN_AWAY, "DROP TABLE keyonce_shades")

    for use in (place.open, place.schema.look, place.schema.migrate):
        with pytest.raises(ConfigurationError, match=r"901_post.*newer keyonce has"):
            use()


@pytest.mark.parametrize("name", SQL_STORES)
def test_yesterday_and_today_work_on_one_database_while_tomorrow_comes(name, new_place):
    place = new_place(name)

    told = work_through(place, future(place))

    assert [""] * 4 == [errors for _, errors in told]
    assert 240 == sum(int(said) for said, _ in told)
    store = place.open()
    counts = {status: count for status, count in store.stats().counts.items() if count}
    assert {Status.COMPLETED: 240} == counts
    assert 80 == len(store.audits())
    store.close()


def test_a_change_that_they_cannot_bear_is_seen(new_place):
    place = new_place("sqlite")

    told = work_through(place, "ALTER TABLE keyonce_records RENAME reason TO why")

    assert all("column" in errors for _, errors in told)


def work_through(place, change):
    """Let four programs work, two of them by yesterday's statements, through *change*."""
    place.open().close()
    yesterday = HERE / place.name / "queries.sql"
    with ExitStack() as running:
        workers = [
            running.enter_context(worker(place.url, queries))
            for queries in (yesterday, yesterday, "-", "-")
        ]
        for each in workers:
            assert "begun" == each.stdout.readline().strip(), each.communicate()
        place.apply(ADDED, change)
        for each in workers:
            with suppress(BrokenPipeError):
                each.stdin.write("go on\n")
                each.stdin.flush()
        return [each.communicate(timeout=100) for each in workers]


def worker(url, queries):
    command = [sys.executable, "-m", "tests.golden.worker", url, str(queries)]
    return subprocess.Popen(
        command,
        cwd=HERE.parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_statements_of_this_version_are_kept():
    """Yesterday is today until the first release: then the copies stay behind."""
    kept = sorted(path.parent.name for path in HERE.glob("*/queries.sql"))

    assert ["mysql", "postgres", "sqlite"] == kept
