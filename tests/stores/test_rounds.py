# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A background thread outlives what goes wrong in a round, and tells it once."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

import pytest

from keyonce.core.errors import StoreUnavailable
from keyonce.stores.mysql.upkeep import Upkeep as MySQLUpkeep
from keyonce.stores.postgres.upkeep import Upkeep as PostgresUpkeep
from keyonce.stores.rounds import Rounds
from keyonce.stores.sqlite import SQLiteStore
from keyonce.testing.store_scenarios.cases import claim_of

SOON = 20.0
OFTEN = timedelta(milliseconds=5)


class Failing:
    """Work that fails, until it was tried several times."""

    def __init__(self):
        self.tries = 0
        self.tried_again = threading.Event()

    def __call__(self, *_):
        self.tries += 1
        if self.tries < 3:
            raise RuntimeError("a fault in the program")
        self.tried_again.set()
        return 0


def faults_in(caplog):
    return [each.getMessage() for each in caplog.records if each.exc_info]


def test_a_round_fails_alone_and_is_told_once(caplog):
    rounds = Rounds("purging")

    for _ in range(3):
        with rounds:
            raise RuntimeError("a fault")

    assert ["A round of purging failed; it goes on."] == faults_in(caplog)


def test_a_store_that_is_gone_is_nothing_to_tell(caplog):
    caplog.set_level(logging.DEBUG)

    with Rounds("purging"):
        raise StoreUnavailable("gone")

    assert [] == caplog.records


def test_the_end_of_the_program_ends_a_round():
    with pytest.raises(SystemExit), Rounds("purging"):
        raise SystemExit


@pytest.mark.parametrize(
    "upkeep",
    [
        lambda work: PostgresUpkeep(work, OFTEN.total_seconds()),
        lambda work: MySQLUpkeep(work, OFTEN),
    ],
    ids=["postgres", "mysql"],
)
def test_purging_goes_on_after_an_unexpected_error(caplog, upkeep):
    work = Failing()
    upkeep = upkeep(work)

    upkeep.begin()

    assert work.tried_again.wait(SOON)
    upkeep.close()
    assert ["A round of purging failed; it goes on."] == faults_in(caplog)


def test_tending_goes_on_after_an_unexpected_error(caplog):
    work = Failing()
    upkeep = PostgresUpkeep(lambda _: 0, OFTEN.total_seconds(), tend=work)

    upkeep.begin()

    assert work.tried_again.wait(SOON)
    upkeep.close()
    assert 1 == len(faults_in(caplog))


def test_purging_of_a_file_goes_on_after_an_unexpected_error(
    caplog, tmp_path, monkeypatch
):
    work = Failing()
    monkeypatch.setattr("keyonce.stores.sqlite.upkeep.procedures.purge", work)
    store = SQLiteStore(tmp_path / "keyonce.db", purge_every=OFTEN)

    store.claim(claim_of())

    assert work.tried_again.wait(SOON)
    store.close()
    assert 1 == len(faults_in(caplog))
