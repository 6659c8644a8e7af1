# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What became of an execution that was finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keyonce.core.events import Outcome

if TYPE_CHECKING:
    from keyonce.core.model import Record


@dataclass(frozen=True, slots=True)
class Stored:
    """The outcome is in *record* and every retry gets it."""

    record: Record


@dataclass(frozen=True, slots=True)
class Freed:
    """The key is free; the next attempt runs."""


@dataclass(frozen=True, slots=True)
class Parked:
    """The outcome is UNKNOWN until somebody settles it."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Another owner has the key; *record* is how it stands, if it still does.

    Also, with None, where the record cannot be read: nobody can say whose it is.
    """

    record: Record | None


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """The store did not answer; the guard goes on trying behind the scenes."""


Finished = Stored | Freed | Parked | Lost | Unrecorded


def outcome_of_end(finished: Finished, *, failed: bool) -> Outcome:
    """Name the outcome of an execution, whose answer says that it *failed* or not."""
    match finished:
        case Stored():
            return Outcome.FAILED if failed else Outcome.EXECUTED
        case Freed():
            return Outcome.RELEASED
        case Parked():
            return Outcome.UNCLEAR
        case Lost():
            return Outcome.LOST
        case Unrecorded():
            return Outcome.UNRECORDED
