# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A worker is suspended for longer than its lease, and wakes up too late."""

from __future__ import annotations

import pytest

from keyonce.core.states import Status
from tests.crash.workers import eventually


@pytest.mark.parametrize("point", ["effect.after", "complete.before"])
@pytest.mark.parametrize(
    ("guarantee", "effects"), [("at-least-once", 2), ("resume", 1)]
)
def test_where_another_took_over_the_late_worker_answers_with_the_winners_outcome(
    site, guarantee, effects, point
):
    path = f"/{guarantee}/payments"
    late, other = site.worker(point), site.worker()
    asked = late.posts(path, "k-1")
    late.reaches(point)
    late.freezes()

    winner = other.settled(path, "k-1")
    (stored,) = site.records(status=Status.COMPLETED)
    late.thaws()
    late.goes_on()
    answer = asked.result()

    assert (201, False) == (winner.status, winner.replayed)
    assert winner.outcome == answer.outcome
    assert answer.replayed
    assert [stored] == site.records()
    assert winner.outcome == other.post(path, "k-1").outcome
    assert (2, effects) == (site.ledger.runs("k-1"), site.ledger.effects("k-1"))


def test_a_late_worker_waits_for_a_winner_that_is_still_at_it(site):
    path = "/at-least-once/payments"
    late, other = site.worker("effect.after"), site.worker("effect.before")
    asked = late.posts(path, "k-1")
    late.reaches("effect.after")
    late.freezes()
    taking_over = other._pool.submit(other.settled, path, "k-1")
    other.reaches("effect.before")

    late.thaws()
    late.goes_on()
    other.goes_on()

    assert taking_over.result().outcome == asked.result().outcome
    assert (201, 2) == (taking_over.result().status, site.ledger.runs("k-1"))


def test_in_at_most_once_nobody_else_runs_and_the_late_worker_completes(site):
    path = "/at-most-once/payments"
    late, other = site.worker("effect.after"), site.worker()
    asked = late.posts(path, "k-1")
    late.reaches("effect.after")
    late.freezes()

    meanwhile = other.settled(path, "k-1")
    late.thaws()
    late.goes_on()
    answer = asked.result()
    retry = other.settled(path, "k-1")

    assert "outcome-unknown" == meanwhile.code
    assert (201, False) == (answer.status, answer.replayed)
    assert answer.outcome == retry.outcome
    assert retry.replayed
    assert (1, 1) == (site.ledger.runs("k-1"), site.ledger.effects("k-1"))


def test_a_late_refusal_does_not_free_the_winners_key(site):
    path = "/at-least-once/refusals"
    late, winner = site.worker("release.before"), site.worker("release.before")
    asked = late.posts(path, "k-1")
    late.reaches("release.before")
    late.freezes()
    taking_over = winner._pool.submit(winner.settled, path, "k-1")
    winner.reaches("release.before")

    (taken,) = site.records(status=Status.IN_PROGRESS)
    late.thaws()
    late.goes_on(3)  # whatever it tries to free
    eventually(lambda: site.records()[0].lease_until > taken.lease_until)
    (still,) = site.records(status=Status.IN_PROGRESS)
    winner.goes_on()

    assert (taken.owner, 2) == (still.owner, still.executions)
    assert 201 == taking_over.result().status
    assert asked.result().status in {201, 500}
    assert 2 == site.ledger.runs("k-1")
