# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""How an observed key is remembered without ever meeting one that is enforced."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from keyonce.core.ending import Free, Keep
from keyonce.core.events import Outcome
from keyonce.core.model import Identity, StoredResult
from keyonce.http.ending import NEVER_STORED

if TYPE_CHECKING:
    from keyonce.core.ending import Ending
    from keyonce.core.policy import Policy

SHADOW = "~"


def shadow_of(identity: Identity) -> Identity:
    """Give the identity under which an observed key is remembered.

    No method begins so: it meets no record that holds an answer.
    """
    return identity._replace(operation=SHADOW + identity.operation)


def shadow_policy(policy: Policy) -> Policy:
    """Give *policy* for a shadow: nobody is asked about work that is only observed."""
    return policy if policy.reconcile is None else replace(policy, reconcile=None)


def shadow_end(status: int) -> tuple[Ending, Outcome]:
    """Say how an observed execution ended that answered with *status*.

    Gives the end of the shadow's record, and what enforcing would have said.
    """
    if status in NEVER_STORED:
        return Free("observed"), Outcome.RELEASED
    return Keep(StoredResult(status, kept=False)), Outcome.EXECUTED


def shadow_outcome(outcome: Outcome) -> Outcome:
    """Say what enforcing would have said where a shadow says *outcome*.

    A shadow never holds an answer; the record would have.
    """
    return Outcome.REPLAYED if outcome is Outcome.NOT_KEPT else outcome
