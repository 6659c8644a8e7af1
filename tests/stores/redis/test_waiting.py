# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that wait for each other on Redis."""

from __future__ import annotations

import pytest

from keyonce.stores.redis import AsyncRedisStore
from tests.stores.waiting import Waiting


class TestWaitingOnRedis(Waiting):
    @pytest.fixture
    def place(self, server):
        return server.url

    @pytest.fixture
    def opening(self):
        return "from keyonce.stores.redis import RedisStore as Sync\n"

    @pytest.fixture
    def world(self):
        return AsyncRedisStore
