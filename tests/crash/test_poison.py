# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A key whose handler kills its process does not kill one worker per lease for ever."""

from __future__ import annotations

import http.client

import pytest

from keyonce.core.states import Status
from tests.crash.workers import eventually

BROKEN = (ConnectionError, http.client.HTTPException)


def ends_its_worker(site, path, *, worker=None):
    """Ask a fresh worker, whose handler is killed by the request."""
    worker = worker or site.worker()
    with pytest.raises(BROKEN):
        worker.settled(path, "poison")
    assert 9 == worker.code()


def test_after_so_many_crashes_the_key_is_parked_and_not_executed_again(site):
    path = "/resume/poison"
    workers = [site.worker() for _ in range(3)]
    survivor = site.worker()
    for worker in workers:
        ends_its_worker(site, path, worker=worker)

    answers = [survivor.settled(path, "poison") for _ in range(3)]

    assert ["outcome-unknown"] * 3 == [answer.code for answer in answers]
    assert 3 == site.ledger.runs("poison")
    (parked,) = site.records(status=Status.UNKNOWN)
    assert ("parked", 3, 3) == (parked.reason, parked.executions, parked.crashes)
    assert 201 == survivor.settled("/resume/payments", "healthy").status


def test_in_at_most_once_it_kills_one_worker_and_no_other(site):
    path = "/at-most-once/poison"
    survivor = site.worker()
    ends_its_worker(site, path)

    answers = [survivor.settled(path, "poison") for _ in range(3)]

    assert ["outcome-unknown"] * 3 == [answer.code for answer in answers]
    assert 1 == site.ledger.runs("poison")


def test_those_who_wait_for_a_poisoned_key_do_not_all_run_it(site):
    """A waiter takes over, dies with its process, and the others are no worse."""
    path = "/at-least-once/poison"
    workers = [site.worker(in_flight="wait") for _ in range(4)]
    asked = [worker.posts(path, "poison") for worker in workers for _ in range(5)]

    eventually(lambda: all(request.done() for request in asked))

    codes = [
        "cut off" if isinstance(request.exception(), BROKEN) else request.result().code
        for request in asked
    ]
    assert 3 == site.ledger.runs("poison")
    assert {"cut off": 15, "outcome-unknown": 5} == {
        code: codes.count(code) for code in codes
    }
