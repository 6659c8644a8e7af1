# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Randomness: owner tokens that never repeat, and jitter."""

from __future__ import annotations

import os
import random


def fresh_token() -> bytes:
    """Give 16 bytes that repeat after no purge, fork or restart."""
    return os.urandom(16)


def jittered(seconds: float) -> float:
    """Give *seconds*, half to one and a half times, so that waiters spread."""
    return seconds * random.uniform(0.5, 1.5)
