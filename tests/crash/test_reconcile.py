# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A worker that dies after it has acted, and how its caller gets an answer."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from keyonce.core.decide import Proceed
from keyonce.core.ending import Unclear
from keyonce.core.model import Query
from keyonce.core.states import Status
from keyonce.stores.url import open_store
from tests.crash.provider import Provider, Till

ROOT = Path(__file__).parents[2]
WITHIN = 60.0
ORDER = "order-17"


class Place(NamedTuple):
    store: str
    provider: str

    def worker(self, mode: str, guarantee: str) -> subprocess.Popen[str]:
        program = [sys.executable, "-m", "tests.crash.provider", mode, *self, guarantee]
        return subprocess.Popen(
            program,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def till(self, guarantee: str) -> Till:
        return Till(self.store, self.provider, guarantee)

    def dies(self, mode: str, guarantee: str) -> None:
        with self.worker(mode, guarantee) as worker:
            assert -signal.SIGKILL == worker.wait(WITHIN)


@pytest.fixture
def place(tmp_path) -> Place:
    found = Place(f"sqlite:///{tmp_path}/keys.db", str(tmp_path / f"{ORDER}.db"))
    Provider(found.provider)
    open_store(found.store).close()
    return found


def audits(till: Till) -> list[tuple[str, str]]:
    return [(row.actor, row.action) for row in till.store.audits()]


def stored(till: Till) -> bytes:
    (record,) = till.store.records(Query(key=ORDER))
    found = till.store.find(record.identity)
    assert found is not None
    assert found.record.result is not None
    return found.record.result.body


def test_under_resume_the_downstream_makes_it_one_effect(place):
    place.dies("after", "resume")
    till = place.till("resume")

    answers = [till.charge(ORDER, 100) for _ in range(3)]

    assert [{"order": ORDER, "charge": 1}] * 3 == answers
    assert 1 == till.provider.effects()
    assert [] == audits(till)
    till.close()


def test_under_at_most_once_the_retry_gets_what_reconcile_found(place):
    place.dies("after", "at-most-once")
    till = place.till("at-most-once")

    first = till.charge(ORDER, 100)
    bytes_of_first = stored(till)
    later = till.charge(ORDER, 100)

    assert {"order": ORDER, "charge": 1} == first == later
    assert bytes_of_first == stored(till)
    assert 1 == till.provider.effects()
    assert [("reconcile", "resolve")] == audits(till)
    till.close()


def test_under_at_most_once_what_never_happened_runs_once_more(place):
    place.dies("before", "at-most-once")
    till = place.till("at-most-once")

    answer = till.charge(ORDER, 100)

    assert {"order": ORDER, "charge": 1} == answer
    assert 1 == till.provider.effects()
    assert [("reconcile", "release")] == audits(till)
    (record,) = till.store.records(Query(key=ORDER))
    assert 2 == record.executions
    till.close()


def test_two_processes_at_once_carry_each_decision_out_once(place):
    till = place.till("at-most-once")
    keys = [f"order-{number}" for number in range(60)]
    call = till.charge._call
    for key in keys:
        decision = till.guard.begin(call.attempt((key, 100), {}), call.policy)
        assert isinstance(decision, Proceed)
        lease = decision.lease
        if int(key[6:]) % 2:
            work = till.guard.work(lease, call.attempt((key, 100), {}).fingerprint)
            till.provider.charge(work.downstream_key("charge"), 100)
        till.guard.finish(lease, Unclear("raised"), call.policy)

    workers = [place.worker("reconcile", "at-most-once") for _ in range(2)]
    for worker in workers:
        assert worker.stdout is not None
        assert "ready\n" == worker.stdout.readline()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    asked = [int(worker.communicate(timeout=WITHIN)[0]) for worker in workers]

    statuses = {
        record.identity.key: record.status for record in till.store.records(Query())
    }
    expected = {
        key: Status.COMPLETED if int(key[6:]) % 2 else Status.RELEASED for key in keys
    }
    assert expected == statuses
    settled = [row.identity.key for row in till.store.audits()]
    assert sorted(keys) == sorted(settled)
    assert [0, 0] == [worker.returncode for worker in workers]
    assert sum(asked) >= len(keys)
    assert 30 == till.provider.effects()
    till.close()
