# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What holds for every test: shown assertions, patient properties."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Here and not beside their tests: whoever is collected first may import them.
pytest.register_assert_rewrite(
    "keyonce.testing.integration_scenarios", "keyonce.testing.store_scenarios"
)

# A busy machine is slow, not wrong. CI tries the same examples every time, so that
# it is red for a change and not by chance; everybody else tries new ones.
settings.register_profile(
    "keyonce",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("keyonce")
