# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A worker dies after each of four steps in turn: each has its effect once."""

from __future__ import annotations

import http.client
import json

import pytest

from keyonce.core.states import Status
from tests.crash.orders import STEP_POINTS, STEPS
from tests.crash.workers import Site

PATH, CHARGE = "/resume/steps", "/resume/charge"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("steps"))
    yield site
    site.close()


@pytest.fixture(scope="module")
def survivor(site):
    return site.worker()


def crash(site, key, point, nth, path=PATH):
    """Kill a process when it comes to *point* for the *nth* time."""
    victim = site.worker(point)
    asked = victim.posts(path, key)
    victim.reaches(point)
    for _ in range(nth - 1):
        victim.goes_on()
        victim.reaches(point)
    victim.dies()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        asked.result()


CASES = [(point, nth) for point in STEP_POINTS for nth in range(1, 5)]


@pytest.mark.parametrize(("point", "nth"), CASES)
def test_after_a_crash_the_rest_of_the_steps_is_taken(site, survivor, point, nth):
    key = f"{point}-{nth}"
    crash(site, key, point, nth)

    first = survivor.settled(PATH, key)
    again = survivor.settled(PATH, key)

    receipts = site.ledger.receipts(key)
    assert (201, receipts) == (first.status, json.loads(first.body))
    assert (first.status, first.body) == (again.status, again.body)
    assert again.replayed
    assert len(STEPS) == len(receipts)
    # A step that was noted is not run again; of one that was not, the downstream key
    # makes one effect.
    twice = [STEPS[nth - 1]] if point == "note.before" else []
    ran = {name: site.ledger.runs(f"{key} {name}") for name in STEPS}
    assert {name: 2 if name in twice else 1 for name in STEPS} == ran


@pytest.mark.parametrize(("nth", "effects"), [(1, 0), (2, 1)])
def test_a_step_that_is_not_safe_and_was_begun_parks_the_key(
    site, survivor, nth, effects
):
    key = f"charge-{nth}"
    crash(site, key, {1: "note.after", 2: "note.before"}[nth], nth, CHARGE)

    first, again = survivor.settled(CHARGE, key), survivor.settled(CHARGE, key)

    assert (409, "outcome-unknown") == (first.status, first.code)
    assert (409, "outcome-unknown") == (again.status, again.code)
    assert effects == len(site.ledger.receipts(key))
    assert key in [each.identity.key for each in site.records(status=Status.UNKNOWN)]
