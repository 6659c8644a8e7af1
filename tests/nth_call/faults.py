# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of the n-th call: an error, a hang or a cut line, before or after it."""

from __future__ import annotations

from typing import Final, NamedTuple

from keyonce.testing.faults import Fault, FaultPlan, Mishap
from tests.servers.relay import Relay

HANGS_FOR: Final = 0.15


class Trouble(NamedTuple):
    """One way to fail. *lasting*: from the n-th call on, for good.

    A *cut* is real: the line to the server is closed under the store's driver.
    """

    name: str
    mishap: Mishap
    cut: bool = False
    lasting: bool = False

    def __str__(self) -> str:
        return f"{self.name}, {'for good' if self.lasting else 'once'}"


SAID: Final = (
    Trouble("error before", Mishap.LOST_REQUEST),
    Trouble("error after", Mishap.LOST_REPLY),
    Trouble("hang before", Mishap.HUNG_REQUEST),
    Trouble("hang after", Mishap.HUNG_REPLY),
)
CUT: Final = (
    Trouble("cut before", Mishap.LOST_REQUEST, cut=True),
    Trouble("cut after", Mishap.LOST_REPLY, cut=True),
)


def troubles(*, wired: bool) -> list[Trouble]:
    """Give every trouble; cuts where there is a wire."""
    once = SAID + CUT if wired else SAID
    return [
        each._replace(lasting=lasting) for lasting in (False, True) for each in once
    ]


class CutPlan(FaultPlan):
    """A plan whose faults happen on the wire: the store finds out by itself."""

    def __init__(self, fault: Fault, line: Relay) -> None:
        """Cut *line* where *fault* is met."""
        super().__init__(fault)
        self._line = line

    def next(self, verb: str) -> Mishap | None:
        match super().next(verb):
            case Mishap.LOST_REQUEST:
                self._line.lose_next_question()
            case Mishap.LOST_REPLY:
                self._line.cut_next_reply()
        return None


def plan_of(trouble: Trouble, nth: int, line: Relay | None) -> FaultPlan:
    """Plan *trouble* for the *nth* call."""
    fault = Fault(trouble.mishap, nth=nth, times=None if trouble.lasting else 1)
    if trouble.cut:
        assert line is not None
        return CutPlan(fault, line)
    return FaultPlan(fault, hangs_for=HANGS_FOR)
