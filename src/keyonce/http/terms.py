# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The declared behaviour of a rule, in the words and values that callers read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyonce.core.policy import AfterExpiry, InFlightAnswer, KeyFormat, OnStoreDown
from keyonce.http.durations import duration_text

if TYPE_CHECKING:
    from keyonce.core.policy import Policy
    from keyonce.core.rollout import Rollout
    from keyonce.http.operation import Rule


def terms_of(rule: Rule) -> dict[str, Any]:
    """Give the terms of *rule* as JSON values, the ``x-idempotency`` of OpenAPI."""
    policy = rule.policy
    return {
        "match": rule.match,
        "key": "required" if policy.required else "optional",
        "key_format": str(policy.key_format),
        "guarantee": str(policy.guarantee),
        "retention": retention_text(policy),
        "in_flight": str(policy.in_flight),
        "patience": duration_text(policy.terms.patience),
        "mismatch_status": policy.mismatch_status,
        "after_expiry": str(policy.after_expiry),
        "late_for": duration_text(policy.late_for.total_seconds()),
        "on_store_down": str(policy.on_store_down),
        "work_limit": duration_text(policy.terms.work_limit),
        "max_request": policy.max_request,
        "max_response": policy.max_response,
        "fingerprint_exclude": list(policy.fingerprint.exclude),
        "fingerprint_headers": list(policy.fingerprint.headers),
        "keep_headers": list(policy.keep_headers),
        "drop_headers": list(policy.drop_headers),
        "mode": mode_text(policy.rollout()),
    }


def retention_text(policy: Policy) -> str:
    """Say how long outcomes are kept."""
    kept_for = policy.terms.retention_for
    return "forever" if kept_for is None else duration_text(kept_for)


def mode_text(rollout: Rollout) -> str:
    """Say how far the rule is rolled out at this moment."""
    share = f" {rollout.percent:g}%" if rollout.partial else ""
    return f"{rollout.stage}{share}"


def in_flight_text(policy: Policy) -> str:
    """Say what a retry hears while the first request is at work."""
    match policy.in_flight:
        case InFlightAnswer.REJECT:
            return "409 with Retry-After"
        case InFlightAnswer.ACCEPT:
            return "202 with Retry-After and the Location of its status"
        case InFlightAnswer.WAIT:
            patience = duration_text(policy.terms.patience)
            return f"waits up to {patience} for the answer, then 409 with Retry-After"


def key_text(policy: Policy) -> str:
    """Say which key the operation takes, and whether it needs one."""
    needed = "required" if policy.required else "optional"
    match policy.key_format:
        case KeyFormat.ANY:
            return f"{needed}, 1 to 255 characters, quoted or bare"
        case KeyFormat.QUOTED:
            return f"{needed}, 1 to 255 characters, quoted"
        case KeyFormat.UUID:
            return f"{needed}, a UUID, quoted or bare"


def after_expiry_text(policy: Policy) -> str:
    """Say what becomes of a retry that comes after the retention."""
    if policy.terms.retention_for is None:
        return "outcomes do not expire"
    if policy.after_expiry is AfterExpiry.NEW:
        return "a new request: it runs"
    late_for = duration_text(policy.late_for.total_seconds())
    return f"410 for another {late_for}, then a new request: it runs"


def store_down_text(policy: Policy) -> str:
    """Say what happens while the store does not answer."""
    if policy.on_store_down is OnStoreDown.REFUSE:
        return "503 with Retry-After; nothing runs"
    return "runs without protection, marked Idempotency-Status: unprotected"
