# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes encrypted at rest, in any store."""

from __future__ import annotations

from keyonce.stores.sealed.aio import AsyncSealed
from keyonce.stores.sealed.ring import KeyRing
from keyonce.stores.sealed.sync import Sealed

__all__ = ["AsyncSealed", "KeyRing", "Sealed"]
