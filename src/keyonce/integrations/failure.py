# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a handler's exception means, where the gateway cannot know by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyonce.core.ending import Ending
    from keyonce.http.problem import Problem


@dataclass(frozen=True, slots=True)
class Failure:
    """How an exception ends the work, and what the first caller hears.

    *status* is that of an unclear end; *problem* is for a key that was freed.
    Such an exception is an answer and goes no further.
    """

    ending: Ending
    status: int = 500
    problem: Problem | None = None


ReadFailure = Callable[[BaseException], Failure | None]


def unread(_error: BaseException) -> Failure | None:
    """Know nothing of any exception."""
    return None
