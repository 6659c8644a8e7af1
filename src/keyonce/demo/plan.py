# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The storm as a schedule: the same seed makes the same one, whoever plays it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from uuid import UUID

FEWEST = 50
"""A storm of fewer operations has no room for its three strikes."""

CUSTOMERS = 7
SLOW = 0.15
IMPATIENT = 0.5
"""The share of slow operations, and of those whose client will not wait."""


class Shape(StrEnum):
    """What the shop's answer looks like on the wire."""

    SMALL = "small"
    LARGE = "large"
    STREAMED = "streamed"


class Fault(StrEnum):
    """What goes wrong on the way of the first client's first attempt.

    - lost-answer: the shop has answered and the client never reads it.
    - hang-up: the client closes while the shop may still be at work.
    - impatience: the client gives up on a slow shop and asks again.
    - reused-key: nothing, but later the key comes back with another amount.
    """

    NONE = "none"
    LOST_ANSWER = "lost-answer"
    HANG_UP = "hang-up"
    IMPATIENCE = "impatience"
    REUSED_KEY = "reused-key"


class Strike(StrEnum):
    """Which process is killed with -9 in the middle of the operation, and when.

    The front is what the client talks to: a sidecar, or the shop's own worker
    where there is none.
    """

    WORKER_BEFORE_EFFECT = "worker-before-effect"
    WORKER_AFTER_EFFECT = "worker-after-effect"
    FRONT_AFTER_EFFECT = "front-after-effect"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a customer wants once, however often it is asked for.

    *name* travels in the body and into the shop's ledger, so that effects are
    counted without a look at the key. *work_for* is how long the shop takes and
    *fault_after* when the client is cut off, both in seconds.
    """

    number: int
    name: str
    path: str
    key: str
    customer: str
    amount: int
    shape: Shape
    work_for: float
    clients: int
    fault: Fault
    fault_after: float
    strike: Strike | None = None

    def body(self, amount: int) -> bytes:
        """Give the request body that asks for *amount*."""
        order = {
            "operation": self.name,
            "amount": amount,
            "shape": self.shape,
            "work_for": self.work_for,
            "hold": _hold(self.strike),
        }
        return json.dumps(order).encode()


def plan(seed: int, operations: int) -> tuple[Operation, ...]:
    """Draw a storm of *operations*; equal arguments give an equal storm."""
    if operations < FEWEST:
        raise ValueError(f"A storm needs at least {FEWEST} operations.")
    chance = Random(seed)
    strikes = {
        (index + 1) * operations // (len(Strike) + 1): strike
        for index, strike in enumerate(Strike)
    }
    return tuple(
        _struck(number, chance, strikes[number])
        if number in strikes
        else _ordinary(number, chance)
        for number in range(operations)
    )


def _ordinary(number: int, chance: Random) -> Operation:
    slow = chance.random() < SLOW
    work_for = chance.uniform(0.1, 0.6) if slow else chance.uniform(0.0, 0.01)
    fault = _fault(chance, slow=slow)
    return Operation(
        number=number,
        name=f"op-{number:05}",
        path=chance.choice(("/payments", "/bookings", "/mails")),
        key=_key(chance),
        customer=f"customer-{chance.randrange(CUSTOMERS)}",
        amount=chance.randrange(100, 100_000),
        shape=chance.choices(tuple(Shape), (80, 10, 10))[0],
        work_for=round(work_for, 4),
        clients=chance.choices((1, 2, 3, 4), (75, 15, 6, 4))[0],
        fault=fault,
        fault_after=round(_fault_after(chance, fault, work_for), 4),
    )


def _struck(number: int, chance: Random, strike: Strike) -> Operation:
    return Operation(
        number=number,
        name=f"op-{number:05}",
        path="/payments",
        key=_key(chance),
        customer=f"customer-{chance.randrange(CUSTOMERS)}",
        amount=chance.randrange(100, 100_000),
        shape=Shape.SMALL,
        work_for=0.0,
        clients=1,
        fault=Fault.NONE,
        fault_after=0.0,
        strike=strike,
    )


def _fault(chance: Random, *, slow: bool) -> Fault:
    if slow and chance.random() < IMPATIENT:
        return Fault.IMPATIENCE
    return chance.choices(
        (Fault.NONE, Fault.LOST_ANSWER, Fault.HANG_UP, Fault.REUSED_KEY),
        (63, 16, 16, 5),
    )[0]


def _fault_after(chance: Random, fault: Fault, work_for: float) -> float:
    """Say when the client is cut off: somewhere in the middle of the work."""
    if fault is Fault.HANG_UP:
        return chance.uniform(0.002, 0.02 + work_for)
    if fault is Fault.IMPATIENCE:
        return chance.uniform(0.3, 0.9) * work_for
    return 0.0


def _hold(strike: Strike | None) -> str | None:
    """Say where the shop's handler waits for its end, if anywhere."""
    if strike is None:
        return None
    return "before" if strike is Strike.WORKER_BEFORE_EFFECT else "after"


def _key(chance: Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))
