# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""No schedule breaks what resume promises, whatever goes wrong in it."""

from __future__ import annotations

from keyonce.core.guarantee import Guarantee
from tests.simulation.campaign import Campaign, chunk
from tests.simulation.conftest import SIZE

GUARANTEE = Guarantee.RESUME


def test_no_schedule_breaks_the_promise(campaign: Campaign, number: int) -> None:
    before = len(campaign.schedules)

    campaign.go_on(chunk(GUARANTEE, number, SIZE), SIZE)

    assert [] == campaign.violations
    assert before + SIZE == len(campaign.schedules)
