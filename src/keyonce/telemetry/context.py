# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which guarded work this thread or task is at, for logs and traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.attending import Attending, attend, attending, current
from keyonce.telemetry.printable import digest

if TYPE_CHECKING:
    from keyonce.core.model import Identity

__all__ = ["Attending", "attend", "attending", "current", "scope_digest"]


def scope_digest(identity: Identity) -> str:
    """Give a short name for whose key it is, which does not reveal who."""
    return digest(identity.scope)
