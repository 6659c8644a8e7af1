# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The arrivals of one key that are inside this process now, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Claimed, Identity
    from keyonce.core.protocols import Watch


class Ear(NamedTuple):
    """What wakes a leader (an event of its world), and the watch behind it."""

    woken: Any
    watch: Watch | None

    @property
    def hears(self) -> bool:
        """Whether news would be heard now."""
        return self.watch is not None and self.watch.in_force


class Seat:
    """One arrival's place in a flight."""

    __slots__ = ("counted", "ear", "flight", "leads", "on_wait", "wake")

    def __init__(self, flight: Flight, *, leads: bool) -> None:
        """Sit down in *flight*."""
        self.flight = flight
        self.leads = leads
        self.wake: Callable[[], object] | None = None
        self.on_wait: Callable[[], object] | None = None
        self.ear: Ear | None = None
        self.counted = False


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
