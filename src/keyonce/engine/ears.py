# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How a leader hears that the work of another process has ended.

Where the store tells, it holds an open watch; elsewhere, an ear that hears nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyonce.engine.flight import Ear

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Identity
    from keyonce.core.protocols import Watch
    from keyonce.engine.flight import Seat
    from keyonce.engine.flights import Flights


class Ears:
    """Opens and closes the ears of one guard's leaders."""

    def __init__(self, store: Any, flights: Flights) -> None:
        """Listen to *store*, if it tells; let *flights* count who waits."""
        self._watch: Callable[[Identity, Callable[[], object]], Watch | None] | None = (
            getattr(store, "watch", None)
        )
        self._flights = flights

    def open(self, seat: Seat, woken: Any, wake: Callable[[], object]) -> bool | None:
        """Have *wake* set *woken* at news; say whether any would be heard now.

        None when too many wait already.
        """
        if not self._flights.wait_alone(seat):
            return None
        identity, watch = seat.flight.identity, None
        if self._watch is not None:
            watch = self._watch(identity, wake)
        seat.ear = Ear(woken, watch)
        return seat.ear.hears

    def close(self, seat: Seat) -> None:
        """Listen no more for *seat*."""
        if seat.counted:
            self._flights.waited(seat)
        ear, seat.ear = seat.ear, None
        if ear is not None and ear.watch is not None:
            ear.watch.close()
