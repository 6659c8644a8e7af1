# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a tiered store asks of its cache: bytes by name, and no promise at all."""

from __future__ import annotations

from typing import Final, Protocol

# Larger ones are left to the durable store: they would take the place of hundreds.
LARGEST_ENTRY: Final = 256 * 1024


class Cache(Protocol):
    """Keeps entries for a while, or loses them: both are fine.

    *shared* says whether anybody outside this process can write to it: then
    entries are sealed. *immediate* says that no method ever waits, so that event
    loops call it as it is. A method may raise whatever it likes, and gives up after
    some tens of milliseconds: the cache is then left alone for a few seconds.
    """

    @property
    def shared(self) -> bool:
        """Whether others than this process can write entries."""

    @property
    def immediate(self) -> bool:
        """Whether no method ever waits."""

    def get(self, name: bytes) -> bytes | None:
        """Give the entry of *name*, or the first LARGEST_ENTRY + 1 bytes of it."""

    def put(self, name: bytes, entry: bytes, seconds: float) -> None:
        """Keep *entry* under *name*, for *seconds* at most."""

    def drop(self, name: bytes) -> None:
        """Forget the entry of *name*, if there is one."""

    def close(self) -> None:
        """Give up connections. Closing twice is fine."""


class AsyncCache(Protocol):
    """A cache that event loops wait for: the verbs of Cache."""

    @property
    def shared(self) -> bool:
        """Whether others than this process can write entries."""

    @property
    def immediate(self) -> bool:
        """Whether no method ever waits: never, here."""

    async def get(self, name: bytes) -> bytes | None:
        """Give the entry of *name*, or the first LARGEST_ENTRY + 1 bytes of it."""

    async def put(self, name: bytes, entry: bytes, seconds: float) -> None:
        """Keep *entry* under *name*, for *seconds* at most."""

    async def drop(self, name: bytes) -> None:
        """Forget the entry of *name*, if there is one."""

    async def close(self) -> None:
        """Give up connections. Closing twice is fine."""
