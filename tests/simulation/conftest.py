# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The campaign of a file: what its chunks have run so far, in whatever order."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.simulation.campaign import Campaign

SIZE = 500
#: How many chunks of schedules are run for each guarantee.
CHUNKS = int(os.environ.get("SIMULATED_SCHEDULES", "3000")) // SIZE


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(CHUNKS))


@pytest.fixture(scope="module")
def campaign(request: pytest.FixtureRequest) -> Iterator[Campaign]:
    """One for each guarantee; at its end it has been everywhere."""
    campaign = Campaign(request.module.GUARANTEE)
    yield campaign
    whole = len(campaign.schedules) >= CHUNKS * SIZE
    if whole and not campaign.violations:
        assert [] == campaign.missing
