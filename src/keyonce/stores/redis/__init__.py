# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Records in Redis or Valkey: one server, behind Sentinel, or a Cluster."""

from __future__ import annotations

from keyonce.stores.redis.aio import AsyncRedisStore
from keyonce.stores.redis.sync import RedisStore

__all__ = ["AsyncRedisStore", "RedisStore"]
