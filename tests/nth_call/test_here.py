# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Stores that need no server: each call of a life fails, and every promise holds."""

from __future__ import annotations

import pytest

from keyonce.core.guarantee import Guarantee
from tests.nth_call.campaign import swept
from tests.nth_call.faults import troubles
from tests.nth_call.places import Places

FACES = pytest.mark.parametrize("aio", [False, True], ids=["threads", "loop"])


def lived(places, kind, guarantee, *, aio, lasting):
    chosen = [each for each in troubles(wired=False) if each.lasting in lasting]

    met = swept(places, kind, Guarantee(guarantee), aio=aio, troubles=chosen)

    assert len(chosen) == len(met)
    assert all(lives >= 5 for lives in met.values()), met


@FACES
@pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once", "resume"])
def test_memory(guarantee, aio, tmp_path):
    lived(Places(tmp_path), "memory", guarantee, aio=aio, lasting={False, True})


@FACES
@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_sqlite(guarantee, aio, tmp_path):
    lived(Places(tmp_path), "sqlite", guarantee, aio=aio, lasting={False})
