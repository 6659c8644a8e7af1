# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Stores that need no server: each call of a life fails once, and every promise holds."""

from __future__ import annotations

import pytest

from keyonce.core.guarantee import Guarantee
from tests.nth_call.campaign import swept
from tests.nth_call.faults import troubles
from tests.nth_call.places import Places

FACES = pytest.mark.parametrize("aio", [False, True], ids=["threads", "loop"])


@FACES
@pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once", "resume"])
def test_memory(guarantee, aio, tmp_path):
    met = swept(
        Places(tmp_path),
        "memory",
        Guarantee(guarantee),
        aio=aio,
        troubles=troubles(wired=False),
    )

    assert all(lives >= 5 for lives in met.values()), met
