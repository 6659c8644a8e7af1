# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Under which outcome an attempt is counted that did not run."""

from __future__ import annotations

from typing import assert_never

from keyonce.core.decide import (
    Expired,
    Incomparable,
    InFlight,
    Mismatch,
    Replay,
    Unknown,
)
from keyonce.core.events import Outcome

Answerable = Replay | InFlight | Mismatch | Unknown | Expired | Incomparable


def outcome_of(decision: Answerable) -> Outcome:
    """Give the one outcome under which *decision* is counted."""
    match decision:
        case Replay(record):
            if record.result is None:
                return Outcome.UNREADABLE
            return Outcome.REPLAYED if record.result.kept else Outcome.NOT_KEPT
        case InFlight():
            return Outcome.IN_PROGRESS
        case Mismatch():
            return Outcome.MISMATCH
        case Unknown():
            return Outcome.UNKNOWN
        case Expired():
            return Outcome.EXPIRED
        case Incomparable():
            return Outcome.UNREADABLE
        case _:
            assert_never(decision)
