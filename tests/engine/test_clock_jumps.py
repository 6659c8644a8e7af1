# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A store's clock that jumps an hour while work runs: never two outcomes (F-14)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from keyonce.core.decide import InFlight, Proceed, Replay, Unknown
from keyonce.engine.finished import Lost, Stored
from tests.engine.samples import AT_LEAST_ONCE, attempt, paid, policy

HOUR = 3600.0
DAY = timedelta(days=1)
KEPT = policy(retention=DAY)
AGAIN = policy(AT_LEAST_ONCE, retention=DAY)


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_jump_between_two_arrivals_replays(world, clock, jump):
    finished = world.finish(world.granted(attempt(), KEPT), paid(), KEPT)
    clock.advance(jump)

    assert Replay(finished.record) == world.begin(attempt(), KEPT)


def test_a_jump_forward_never_gives_running_at_most_once_work_to_another(world, clock):
    lease = world.granted(attempt(), KEPT)
    clock.advance(HOUR)

    other = world.begin(attempt(), KEPT, guard=world.guard())

    assert isinstance(other, Unknown)
    finished = world.finish(lease, paid(b"the only one"), KEPT)
    assert isinstance(finished, Stored)
    replay = world.begin(attempt(), KEPT, guard=world.guard())
    assert b"the only one" == replay.record.result.body
    assert 1 == replay.record.executions


def test_a_jump_back_leaves_running_work_to_its_owner(world, clock):
    lease = world.granted(attempt(), KEPT)
    clock.advance(-HOUR)

    other = world.begin(attempt(), KEPT, guard=world.guard())

    assert isinstance(other, InFlight)
    assert (0.0, False) == (other.age, other.ended)
    assert isinstance(world.finish(lease, paid(), KEPT), Stored)


def test_a_jump_there_and_back_is_as_if_nothing_was(world, clock):
    lease = world.granted(attempt(), KEPT)
    clock.advance(HOUR)
    clock.advance(-HOUR)

    assert isinstance(world.begin(attempt(), KEPT, guard=world.guard()), InFlight)
    assert isinstance(world.finish(lease, paid(), KEPT), Stored)


def test_a_jump_forward_may_run_at_least_once_work_beside_but_one_outcome_counts(
    world, clock
):
    there = world.guard()
    first = world.granted(attempt(), AGAIN)
    clock.advance(HOUR)
    second = world.begin(attempt(), AGAIN, guard=there)
    assert isinstance(second, Proceed)

    done = world.finish(second.lease, paid(b"second"), AGAIN, guard=there)
    late = world.finish(first, paid(b"first"), AGAIN)

    assert isinstance(done, Stored)
    assert Lost(done.record) == late
    assert b"second" == world.begin(attempt(), AGAIN).record.result.body


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_jump_moves_the_end_of_the_retention_and_nothing_else(world, clock, jump):
    lease = world.granted(attempt(), KEPT)
    clock.advance(jump)
    finished = world.finish(lease, paid(), KEPT)
    clock.advance(-jump)

    clock.advance(22 * HOUR)

    assert Replay(finished.record) == world.begin(attempt(), KEPT)
