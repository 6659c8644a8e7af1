# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that wait for each other on PostgreSQL."""

from __future__ import annotations

import pytest

from keyonce.stores.postgres import AsyncPostgresStore, PostgresStore
from tests.stores.waiting import Waiting


class TestWaitingOnPostgres(Waiting):
    @pytest.fixture
    def place(self, quick_server):
        url = quick_server.url(quick_server.new_database())
        PostgresStore(url).close()
        return url

    @pytest.fixture
    def opening(self):
        return "from keyonce.stores.postgres import PostgresStore as Sync\n"

    @pytest.fixture
    def world(self):
        return AsyncPostgresStore
