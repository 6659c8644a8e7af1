# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The simulator finds bugs: each that is planted, within a bounded number of runs."""

from __future__ import annotations

import pytest

from tests.simulation.oracle import judge
from tests.simulation.planted import PLANTED, Planted, planted
from tests.simulation.run import run

WITHIN = 2000


@pytest.mark.parametrize("bug", PLANTED, ids=[bug.name for bug in PLANTED])
def test_a_planted_bug_is_found(bug: Planted) -> None:
    with planted(bug):
        found = next((number for number in range(WITHIN) if _fails(bug, number)), None)

    assert found is not None
    assert not _fails(bug, found)


def _fails(bug: Planted, number: int) -> list[str]:
    return judge(run(f"{bug.guarantee}/{bug.mode}/{number}").history)
