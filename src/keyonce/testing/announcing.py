# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Passes on what a store tells of ends, for those that stand in front of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.model import Identity
    from keyonce.core.protocols import Watch


def watch_on(
    store: Any, identity: Identity, wake: Callable[[], object]
) -> Watch | None:
    """Watch *identity* on *store*; None where it does not tell."""
    watch: Callable[[Identity, Callable[[], object]], Watch | None] | None = getattr(
        store, "watch", None
    )
    return None if watch is None else watch(identity, wake)


def announced_on(store: Any, identity: Identity) -> bool:
    """Ask a Store that watches to announce the end."""
    announced: bool = store.announce(identity)
    return announced


async def aannounced_on(store: Any, identity: Identity) -> bool:
    """Ask an AsyncStore that watches to announce the end."""
    announced: bool = await store.announce(identity)
    return announced
