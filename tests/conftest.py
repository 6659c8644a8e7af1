# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Show what the assertions of the shipped contracts compared."""

from __future__ import annotations

import pytest

# Here and not beside their tests: whoever is collected first may import them.
pytest.register_assert_rewrite(
    "keyonce.testing.integration_scenarios", "keyonce.testing.store_scenarios"
)
