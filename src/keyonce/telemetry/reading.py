# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the end of an arrival means to somebody who counts or writes it down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyonce.core.events import RAN, SUPPRESSED, Outcome

if TYPE_CHECKING:
    from keyonce.core.events import Ended

FIRST: Final = "first"
RETRY: Final = "retry"
NEITHER: Final = "-"


def meant(event: Ended) -> Outcome:
    """Give the outcome under enforcement, also where it was only observed."""
    return event.would or event.outcome


def turn(event: Ended) -> str:
    """Say whether the arrival was the first of its key or a retry.

    A key that was never looked up is neither.
    """
    if is_retry(event):
        return RETRY
    return FIRST if event.identity is not None and meant(event) in RAN else NEITHER


def is_retry(event: Ended) -> bool:
    """Whether the store knew the key before this arrival."""
    return (
        event.key_age is not None or event.execution > 1 or meant(event) in SUPPRESSED
    )


def is_duplicate(event: Ended) -> bool:
    """Whether this was the same request once more.

    A key that was used for another request is a collision, not a duplicate.
    """
    return is_retry(event) and meant(event) is not Outcome.MISMATCH
