# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Attempts, outcomes and policies to begin a test with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from keyonce.core.ending import Keep
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Attempt, Fingerprint, Identity, StoredResult
from keyonce.core.policy import Policy

AT_MOST_ONCE, AT_LEAST_ONCE = Guarantee.AT_MOST_ONCE, Guarantee.AT_LEAST_ONCE
PAID = StoredResult(201, ((b"location", b"/payments/1"),), b"paid", size=4)


def identity(key: str = "k-1") -> Identity:
    return Identity("tenant", "POST /payments", key)


def attempt(
    key: str = "k-1", body: bytes = b"same", *, scheme: str = "2", knows: str = "1"
) -> Attempt:
    """One arrival of *body* under *scheme*, that could be read under *knows* too."""

    def under(other: str) -> Fingerprint | None:
        return Fingerprint(other, body) if other in (scheme, knows) else None

    return Attempt(identity(key), Fingerprint(scheme, body), under)


def paid(by: bytes = b"paid") -> Keep:
    return Keep(StoredResult(201, (), by, size=len(by)))


def policy(
    guarantee: Guarantee = AT_MOST_ONCE, *, lease: float = 30.0, **settings: Any
) -> Policy:
    return Policy(guarantee=guarantee, lease=timedelta(seconds=lease), **settings)
