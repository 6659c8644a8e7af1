# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A store of either kind, as threads see it."""

from __future__ import annotations

from keyonce.stores.redis import AsyncRedisStore, RedisStore
from keyonce.testing.portal import StorePortal

KINDS = ["sync", "async"]


def store_of(kind, place, **options):
    """Open *place* as a RedisStore, or as an AsyncRedisStore behind a portal."""
    if kind == "sync":
        return RedisStore(place, **options)
    return StorePortal(AsyncRedisStore(place, **options))
