# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whoever watches the work must not break it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.events import NoObserver, Observers

if TYPE_CHECKING:
    from keyonce.core.events import Observer


def harmless(observer: Observer) -> Observer:
    """Give *observer* such that it may raise and nobody suffers."""
    if isinstance(observer, NoObserver | Observers):
        return observer
    return Observers(observer)
