# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Every arrow of the table of states, walked once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from keyonce.core.model import Identity
from keyonce.core.states import ABSENT, TABLE, Status
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completion_of,
    settlement_of,
)

if TYPE_CHECKING:
    from keyonce.core.protocols import Store
    from keyonce.testing.clock import FakeClock

Step = Callable[["Store", "FakeClock", Identity], object]


def claim(store: Store, _clock: FakeClock, identity: Identity) -> object:
    """Absent or released: in progress."""
    return store.claim(claim_of(identity))


def claim_next(store: Store, _clock: FakeClock, identity: Identity) -> object:
    """Released: in progress with another owner."""
    return store.claim(claim_of(identity, SECOND))


def renew(store: Store, _clock: FakeClock, identity: Identity) -> object:
    """In progress: the same, for longer."""
    return store.renew(identity, FIRST)


def complete(store: Store, _clock: FakeClock, identity: Identity) -> object:
    """In progress or unknown: completed."""
    return store.complete(completion_of(identity, late_for=0))


def complete_for_late(store: Store, _clock: FakeClock, identity: Identity) -> object:
    """In progress: completed, and refused later."""
    return store.complete(completion_of(identity, late_for=2 * HOUR))


def release(store: Store, _clock: FakeClock, identity: Identity) -> object:
    """In progress: released."""
    return store.release(identity, FIRST, "safe", HOUR)


def abandon(store: Store, _clock: FakeClock, identity: Identity) -> object:
    """In progress: unknown."""
    return store.abandon(identity, FIRST, "crashed")


def settle(store: Store, _clock: FakeClock, identity: Identity) -> object:
    """Unknown: released."""
    return store.settle(settlement_of(identity))


def wait(_store: Store, clock: FakeClock, _identity: Identity) -> object:
    """Completed, released or a tombstone: what comes after its time."""
    return clock.advance(2 * HOUR)


ARROWS: Final[dict[tuple[Status | None, Status | None], tuple[Step, ...]]] = {
    (ABSENT, Status.IN_PROGRESS): (claim,),
    (Status.IN_PROGRESS, Status.IN_PROGRESS): (claim, renew),
    (Status.IN_PROGRESS, Status.COMPLETED): (claim, complete),
    (Status.IN_PROGRESS, Status.UNKNOWN): (claim, abandon),
    (Status.IN_PROGRESS, Status.RELEASED): (claim, release),
    (Status.COMPLETED, ABSENT): (claim, complete, wait),
    (Status.COMPLETED, Status.TOMBSTONE): (claim, complete_for_late, wait),
    (Status.UNKNOWN, Status.COMPLETED): (claim, abandon, complete),
    (Status.UNKNOWN, Status.RELEASED): (claim, abandon, settle),
    (Status.RELEASED, Status.IN_PROGRESS): (claim, release, claim_next),
    (Status.RELEASED, ABSENT): (claim, release, wait),
    (Status.TOMBSTONE, ABSENT): (claim, complete_for_late, wait, wait),
}


def status_of(store: Store, identity: Identity) -> Status | None:
    """Say how *identity* stands."""
    found = store.find(identity)
    return ABSENT if found is None else found.record.status


class Table:
    """Scenarios around the table."""

    def test_every_arrow_has_its_story(self) -> None:
        arrows = {(one, other) for one in TABLE for other in TABLE[one]}

        assert arrows == set(ARROWS)

    def test_every_arrow_can_be_walked(self, store: Store, clock: FakeClock) -> None:
        for number, ((start, end), steps) in enumerate(ARROWS.items()):
            identity = ORDER._replace(key=f"{number}")
            for step in steps[:-1]:
                step(store, clock, identity)
            before = status_of(store, identity)

            steps[-1](store, clock, identity)

            assert (start, end) == (before, status_of(store, identity))

    def test_a_step_taken_twice_is_taken_once(
        self, store: Store, clock: FakeClock
    ) -> None:
        for number, ((_, end), steps) in enumerate(ARROWS.items()):
            if end is ABSENT or settle in steps:  # a decision is refused twice
                continue
            identity = ORDER._replace(key=f"twice-{number}")
            for step in steps:
                step(store, clock, identity)
                once = store.find(identity)
                if step is not wait:
                    step(store, clock, identity)

                assert once == store.find(identity)
