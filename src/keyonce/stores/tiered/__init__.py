# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A cache of outcomes in front of the store that decides."""

from __future__ import annotations

from keyonce.stores.tiered.aio import AsyncTiered
from keyonce.stores.tiered.memory_cache import MemoryCache
from keyonce.stores.tiered.redis_cache import AsyncRedisCache, RedisCache
from keyonce.stores.tiered.sync import Tiered

__all__ = ["AsyncRedisCache", "AsyncTiered", "MemoryCache", "RedisCache", "Tiered"]
