# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How an execution ended, as its author's policy sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyonce.core.model import Record, StoredResult


@dataclass(frozen=True, slots=True)
class Keep:
    """The outcome is clear: store it and give it to every retry.

    *retention_for* overrides the policy's for this one outcome.
    """

    result: StoredResult
    retention_for: float | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Free:
    """Nothing happened, or it may happen again: free the key."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nobody can say whether the work was done: the guarantee decides.

    *reference* is what it says it has brought about, for whoever looks.
    """

    reason: str
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Park:
    """Nobody can say, and nothing may run again before somebody has looked.

    Under every guarantee the key becomes UNKNOWN.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Committed:
    """The outcome is stored already, in one transaction with the effect."""

    record: Record


Ending = Keep | Free | Unclear | Park
