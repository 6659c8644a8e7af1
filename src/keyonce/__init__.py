# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Idempotency keys: one key, one run, the same answer for every retry."""

from __future__ import annotations

import importlib as _importlib
from typing import TYPE_CHECKING

from keyonce.core.decide import (
    Decision,
    Expired,
    InFlight,
    Mismatch,
    Proceed,
    Replay,
    Unknown,
)
from keyonce.core.ending import Free, Keep, Unclear
from keyonce.core.errors import (
    ConfigurationError,
    IdempotencyError,
    LeaseLost,
    OutcomeUnknown,
    RecordUnreadable,
    SafeToRetry,
    SettlementRefused,
    StoreError,
    StoreUnavailable,
)
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Attempt, Fingerprint, Identity, Lease, StoredResult
from keyonce.core.policy import FingerprintRecipe, Policy
from keyonce.core.rollout import Rollout, Stage
from keyonce.http.operation import Rule
from keyonce.http.scope import by_function, by_header, shared

if TYPE_CHECKING:
    from keyonce.engine.aio import AsyncGuard
    from keyonce.engine.sync import Guard
    from keyonce.stores.memory import AsyncMemoryStore, MemoryStore

__version__ = "0.1.0"

__all__ = [
    "AsyncGuard",
    "AsyncMemoryStore",
    "Attempt",
    "ConfigurationError",
    "Decision",
    "Expired",
    "Fingerprint",
    "FingerprintRecipe",
    "Free",
    "Guarantee",
    "Guard",
    "IdempotencyError",
    "Identity",
    "InFlight",
    "Keep",
    "Lease",
    "LeaseLost",
    "MemoryStore",
    "Mismatch",
    "OutcomeUnknown",
    "Policy",
    "Proceed",
    "RecordUnreadable",
    "Replay",
    "Rollout",
    "Rule",
    "SafeToRetry",
    "SettlementRefused",
    "Stage",
    "StoreError",
    "StoreUnavailable",
    "StoredResult",
    "Unclear",
    "Unknown",
    "__version__",
    "by_function",
    "by_header",
    "shared",
]

# Imported when first asked for: they bring asyncio and threads with them.
_LATER = {
    "AsyncGuard": "keyonce.engine.aio",
    "AsyncMemoryStore": "keyonce.stores.memory",
    "Guard": "keyonce.engine.sync",
    "MemoryStore": "keyonce.stores.memory",
}


def __getattr__(name: str) -> object:
    """Import what is seldom needed at start-up."""
    if name in _LATER:
        return getattr(_importlib.import_module(_LATER[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
