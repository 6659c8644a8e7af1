# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What an async store speaks through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from keyonce.stores.postgres.steps import Step, Steps
    from keyonce.stores.statement import Row

R = TypeVar("R")


class AsyncLine(Protocol):
    """A pool of psycopg's, or one of asyncpg's.

    *deadline* is on the monotonic clock.
    """

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What its driver raises."""

    async def rows(self, step: Step, deadline: float) -> list[Row]:
        """Carry out one step in a transaction of its own."""

    async def transact(self, steps: Steps[R], deadline: float) -> R:
        """Carry out *steps* in one transaction."""

    async def is_pooled(self, deadline: float) -> bool:
        """Whether something between here and the server hands out its sessions."""

    async def close(self) -> None:
        """Close what was opened here; what a user gave stays open."""
