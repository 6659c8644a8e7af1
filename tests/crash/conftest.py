# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A site for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.workers import Site


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()
