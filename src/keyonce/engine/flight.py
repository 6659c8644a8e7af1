# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The arrivals of one key that are inside this process now, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Claimed, Identity


class Seat:
    """One arrival's place in a flight."""

    __slots__ = ("flight", "leads", "wake")

    def __init__(self, flight: Flight, *, leads: bool) -> None:
        """Sit down in *flight*."""
        self.flight = flight
        self.leads = leads
        self.wake: Callable[[], object] | None = None


class Flight:
    """The arrivals of one key that are here now, and the latest news of it."""

    __slots__ = ("identity", "led", "news", "news_at", "version", "waiting")

    def __init__(self, identity: Identity) -> None:
        """Begin a flight for *identity*, led by its first seat."""
        self.identity = identity
        self.led = True
        self.news: Claimed | None = None
        self.news_at = 0.0
        self.version = 0
        self.waiting: dict[Seat, None] = {}
