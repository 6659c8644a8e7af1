# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A worker is killed at every point of a key's life; what do retries get?

Each point kills one process that has a request of every guarantee in flight.
The answers come from another process over the same file.
"""

from __future__ import annotations

import http.client
from typing import NamedTuple

import pytest

from keyonce.core.states import Status
from keyonce.testing.points import POINTS
from tests.crash.app import PATHS
from tests.crash.orders import STEP_POINTS
from tests.crash.workers import Site, eventually

MOST, LEAST, RESUME = PATHS


class End(NamedTuple):
    """How a key ends: the answer to its retries, runs, effects."""

    told: str  # "ran", "replayed" or the code of a problem
    runs: int
    effects: int


UNKNOWN = "outcome-unknown"

#: What guarantees.md promises after a process crash at each point.
PAYMENTS = {
    "claim.before": {
        MOST: End("ran", runs=1, effects=1),
        LEAST: End("ran", runs=1, effects=1),
        RESUME: End("ran", runs=1, effects=1),
    },
    "claim.after": {
        MOST: End(UNKNOWN, runs=0, effects=0),
        LEAST: End("ran", runs=1, effects=1),
        RESUME: End("ran", runs=1, effects=1),
    },
    "effect.before": {
        MOST: End(UNKNOWN, runs=1, effects=0),
        LEAST: End("ran", runs=2, effects=1),
        RESUME: End("ran", runs=2, effects=1),
    },
    "effect.after": {
        MOST: End(UNKNOWN, runs=1, effects=1),
        LEAST: End("ran", runs=2, effects=2),
        RESUME: End("ran", runs=2, effects=1),
    },
    "complete.before": {
        MOST: End(UNKNOWN, runs=1, effects=1),
        LEAST: End("ran", runs=2, effects=2),
        RESUME: End("ran", runs=2, effects=1),
    },
    "complete.after": {
        MOST: End("replayed", runs=1, effects=1),
        LEAST: End("replayed", runs=1, effects=1),
        RESUME: End("replayed", runs=1, effects=1),
    },
}
RENEWALS = {
    point: {
        MOST: End(UNKNOWN, runs=1, effects=1),
        LEAST: End("ran", runs=2, effects=2),
        RESUME: End("ran", runs=2, effects=1),
    }
    for point in ("renew.before", "renew.after")
}
REFUSALS = {
    "release.before": {
        MOST: End(UNKNOWN, runs=1, effects=0),
        LEAST: End("ran", runs=2, effects=0),
        RESUME: End("ran", runs=2, effects=0),
    },
    "release.after": {
        MOST: End("ran", runs=2, effects=0),
        LEAST: End("ran", runs=2, effects=0),
        RESUME: End("ran", runs=2, effects=0),
    },
}
DOUBTS = {
    point: {MOST: End(UNKNOWN, runs=1, effects=0)}
    for point in ("abandon.before", "abandon.after")
}
WORKS = {
    "payments": {**PAYMENTS, **RENEWALS},
    "refusals": REFUSALS,
    "doubts": DOUBTS,
}
CASES = [
    pytest.param(work, point, guarantee, id=f"{point}-{guarantee}")
    for work, points in WORKS.items()
    for point, ends in points.items()
    for guarantee in ends
]


def key_of(guarantee, point):
    return f"{guarantee}-{point}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("points"))
    yield site
    site.close()


@pytest.fixture(scope="module")
def survivor(site):
    """Another process over the same file, in which nothing ever stops."""
    return site.worker()


@pytest.fixture(scope="module")
def crashes():
    """The points at which a process has been killed already."""
    return set()


def crash(site, work, point):
    """Kill a process at *point*, with a request of each guarantee in flight."""
    keys = {guarantee: key_of(guarantee, point) for guarantee in WORKS[work][point]}
    victim = site.worker(point)
    # Under a renewal the handler takes longer than its lease.
    seconds = "30" if point in RENEWALS else "0"
    asked = [
        victim.posts(f"/{guarantee}/{work}", key, **{"X-Seconds": seconds})
        for guarantee, key in keys.items()
    ]
    if point in RENEWALS:
        victim.reaches(point)  # one thread renews them all
        eventually(lambda: all(site.ledger.effects(key) for key in keys.values()))
    else:
        victim.reaches(*[point] * len(asked))
    victim.dies()
    for cut_off in asked:
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            cut_off.result()


@pytest.mark.parametrize(("work", "point", "guarantee"), CASES)
def test_after_a_process_crash_retries_get_what_the_guarantee_promises(
    site, survivor, crashes, work, point, guarantee
):
    if point not in crashes:
        crash(site, work, point)
        crashes.add(point)
    expected = WORKS[work][point][guarantee]
    path, key = f"/{guarantee}/{work}", key_of(guarantee, point)

    first = survivor.settled(path, key)
    runs, effects = site.ledger.runs(key), site.ledger.effects(key)
    second = survivor.settled(path, key)

    told = first.code or ("replayed" if first.replayed else "ran")
    assert expected == End(told, runs, effects)
    if (work, told) == ("refusals", "ran"):
        assert runs + 1 == site.ledger.runs(key)  # freed again, and so run again
        return
    assert (first.outcome, runs) == (second.outcome, site.ledger.runs(key))
    assert second.replayed == (told != UNKNOWN)
    # Whatever nobody knows is there for an operator to settle.
    listed = [record.identity.key for record in site.records(status=Status.UNKNOWN)]
    assert (key in listed) == (told == UNKNOWN)


def test_every_point_has_been_died_at():
    here = {point for points in WORKS.values() for point in points}
    assert set(POINTS) == here | set(STEP_POINTS)  # those are died at in test_steps
