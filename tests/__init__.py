# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The tests, in the same rooms as the source."""

from __future__ import annotations
