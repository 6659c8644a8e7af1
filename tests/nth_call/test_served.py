# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Stores on servers: each call fails, hangs or loses its line, and promises hold."""

from __future__ import annotations

import pytest

from tests.nth_call.campaign import swept
from tests.nth_call.faults import troubles
from tests.nth_call.places import Places
from tests.nth_call.servers import SERVED, served

STRONGEST = ("exactly-once", "resume", "at-most-once", "at-least-once")
pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]


@pytest.fixture
def place(kind, tmp_path):
    with served(kind, tmp_path) as place:
        yield place


# Each store by one of its faces; `scripts/prove --nth-call` lives through both, and
# through DynamoDB's, whose server is too slow for this place.
@pytest.mark.parametrize(
    ("kind", "aio"),
    [
        pytest.param(kind, number % 2 == 0, id=kind)
        for number, kind in enumerate(SERVED)
        if kind != "dynamodb"
    ],
)
def test_each_call(place, aio, tmp_path):
    strongest = min(place.guarantees, key=STRONGEST.index)
    chosen = [each for each in troubles(wired=True) if not each.lasting]

    met = swept(
        Places(tmp_path, place), place.kind, strongest, aio=aio, troubles=chosen
    )

    assert len(chosen) == len(met)
    assert all(lives >= 5 for lives in met.values()), met
