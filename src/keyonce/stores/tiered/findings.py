# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What `doctor` finds about a cache: it is never an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.model import Finding

if TYPE_CHECKING:
    from keyonce.stores.tiered.cache import AsyncCache, Cache

PROBE = b"a probe"
_MEND = (
    "Nothing is at risk: the durable store is asked instead, at its own speed. Look "
    "at the cache's URL, and whether its server runs."
)


def answered(
    fast: Cache | AsyncCache, took: float, *, signed: bool, came_back: bool
) -> Finding:
    """Judge a cache that answered to a probe within *took* seconds."""
    if not came_back:
        detail = "The cache takes an entry and does not have it a moment later."
        return Finding("warning", "cache", detail, _MEND)
    if not fast.shared:
        return Finding("ok", "cache", "in the memory of each process")
    seal = "signed" if signed else "not signed"
    detail = f"answers (a write and a read in {took * 1000:.1f} ms); entries are {seal}"
    return Finding("ok", "cache", detail)


def silent(error: Exception) -> Finding:
    """Judge a cache that did not answer."""
    detail = f"The cache does not answer ({type(error).__name__})."
    return Finding("warning", "cache", detail, _MEND)
