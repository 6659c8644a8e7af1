# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The worlds that the guards are tried in."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from keyonce.testing.clock import FakeClock
from tests.engine.worlds import Loop, Threads, WaitingLoop, World


@pytest.fixture(
    params=[Threads, Loop, WaitingLoop], ids=["threads", "loop", "waiting-loop"]
)
def face(request):
    return request.param()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world(face, clock) -> Iterator[World]:
    """A world whose store's clock is turned by the test."""
    world = World(face, clock)
    yield world
    world.close()


@pytest.fixture
def live(face) -> Iterator[World]:
    """A world whose store's clock runs."""
    world = World(face, time.time)
    yield world
    world.close()
