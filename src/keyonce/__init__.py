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
    DeliveryDead,
    DeliveryInProgress,
    IdempotencyError,
    InProgress,
    KeyExpired,
    KeyReused,
    LeaseLost,
    MessageReused,
    NotCommitted,
    NotRun,
    OutcomeUnknown,
    RecordUnreadable,
    ResultNotEncodable,
    ResultNotKept,
    SafeToRetry,
    SettlementRefused,
    StepsChanged,
    StoreError,
    StoreUnavailable,
    WorkFailed,
)
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Attempt, Fingerprint, Identity, Lease, StoredResult
from keyonce.core.policy import FingerprintRecipe, Policy
from keyonce.core.reconcile import (
    CompletedWith,
    NeverHappened,
    StillUnknown,
    UnknownWork,
)
from keyonce.core.rollout import Rollout, Stage
from keyonce.http.operation import Rule
from keyonce.http.reconciled import json_answer
from keyonce.http.scope import by_function, by_header, shared

if TYPE_CHECKING:
    from keyonce.engine.aio import AsyncGuard
    from keyonce.engine.aio_reconciler import AsyncReconciler
    from keyonce.engine.aio_work import AsyncWork, current_async_work
    from keyonce.engine.current import current_downstream_key
    from keyonce.engine.reconciler import Reconciler
    from keyonce.engine.steps import StepRule
    from keyonce.engine.sync import Guard
    from keyonce.engine.work import Work, current_work
    from keyonce.inbox.aio import AsyncInbox
    from keyonce.inbox.message import Delivery, Message
    from keyonce.inbox.sync import Inbox
    from keyonce.stores.memory import AsyncMemoryStore, MemoryStore

__version__ = "0.1.0"

__all__ = [
    "AsyncGuard",
    "AsyncInbox",
    "AsyncMemoryStore",
    "AsyncReconciler",
    "AsyncWork",
    "Attempt",
    "CompletedWith",
    "ConfigurationError",
    "Decision",
    "Delivery",
    "DeliveryDead",
    "DeliveryInProgress",
    "Expired",
    "Fingerprint",
    "FingerprintRecipe",
    "Free",
    "Guarantee",
    "Guard",
    "IdempotencyError",
    "Identity",
    "InFlight",
    "InProgress",
    "Inbox",
    "Keep",
    "KeyExpired",
    "KeyReused",
    "Lease",
    "LeaseLost",
    "MemoryStore",
    "Message",
    "MessageReused",
    "Mismatch",
    "NeverHappened",
    "NotCommitted",
    "NotRun",
    "OutcomeUnknown",
    "Policy",
    "Proceed",
    "Reconciler",
    "RecordUnreadable",
    "Replay",
    "ResultNotEncodable",
    "ResultNotKept",
    "Rollout",
    "Rule",
    "SafeToRetry",
    "SettlementRefused",
    "Stage",
    "StepRule",
    "StepsChanged",
    "StillUnknown",
    "StoreError",
    "StoreUnavailable",
    "StoredResult",
    "Unclear",
    "Unknown",
    "UnknownWork",
    "Work",
    "WorkFailed",
    "__version__",
    "by_function",
    "by_header",
    "current_async_work",
    "current_downstream_key",
    "current_work",
    "json_answer",
    "shared",
]

# Imported when first asked for: they bring asyncio and threads with them.
_LATER = {
    "AsyncInbox": "keyonce.inbox.aio",
    "Delivery": "keyonce.inbox.message",
    "Inbox": "keyonce.inbox.sync",
    "Message": "keyonce.inbox.message",
    "AsyncReconciler": "keyonce.engine.aio_reconciler",
    "Reconciler": "keyonce.engine.reconciler",
    "AsyncGuard": "keyonce.engine.aio",
    "AsyncMemoryStore": "keyonce.stores.memory",
    "AsyncWork": "keyonce.engine.aio_work",
    "Guard": "keyonce.engine.sync",
    "MemoryStore": "keyonce.stores.memory",
    "StepRule": "keyonce.engine.steps",
    "Work": "keyonce.engine.work",
    "current_async_work": "keyonce.engine.aio_work",
    "current_downstream_key": "keyonce.engine.current",
    "current_work": "keyonce.engine.work",
}


def __getattr__(name: str) -> object:
    """Import what is seldom needed at start-up."""
    if name in _LATER:
        return getattr(_importlib.import_module(_LATER[name]), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
