# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Show what the assertions of a shipped contract compared."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("keyonce.testing.integration_scenarios")
