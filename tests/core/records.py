# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Records and commands to begin a test with, all about one payment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from keyonce.core import transitions
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import (
    Claim,
    Completion,
    Fingerprint,
    Identity,
    Record,
    Settlement,
    StoredResult,
)
from keyonce.core.states import Status

NOW = 1_000.0
LEASE = 30.0
GRACE = 10.0
DAY = 86_400.0
IDENTITY = Identity("tenant", "POST /payments", "k-1")
ALICE, BOB, CAROL = b"alice", b"bob", b"carol"
PRINT = Fingerprint("1", b"same request")
OTHER = Fingerprint("1", b"other request")
RESULT = StoredResult(201, ((b"location", b"/payments/1"),), b"paid", size=4)
AT_MOST_ONCE, AT_LEAST_ONCE = Guarantee.AT_MOST_ONCE, Guarantee.AT_LEAST_ONCE


def claim(owner: bytes = ALICE, **changes: Any) -> Claim:
    command = Claim(
        identity=IDENTITY,
        owner=owner,
        fingerprint=PRINT,
        guarantee=AT_MOST_ONCE,
        lease_for=LEASE,
        max_crashes=3,
        field_map=lambda digest: b"map of " + digest,
    )
    return command._replace(**changes)


def completion(owner: bytes = ALICE, **changes: Any) -> Completion:
    command = Completion(IDENTITY, owner, RESULT, DAY)
    return command._replace(**changes)


def settlement(**changes: Any) -> Settlement:
    return replace(Settlement(IDENTITY, "asked the bank", "ann"), **changes)


def running(owner: bytes = ALICE, *, now: float = NOW, **changes: Any) -> Record:
    """A record just claimed by *owner*."""
    change = transitions.claim(None, claim(owner), now)
    return change.record._replace(**changes)


def finished(owner: bytes = ALICE, **changes: Any) -> Record:
    """A record completed by *owner* at NOW, kept for a day."""
    change = transitions.complete(running(owner), completion(owner, **changes), NOW)
    assert change is not None
    return change.record


def unclear(owner: bytes = ALICE, **changes: Any) -> Record:
    """A record that *owner* gave up as unknown at NOW."""
    change = transitions.abandon(running(owner), owner, "crashed", NOW)
    assert change is not None
    return change.record._replace(**changes)


def freed(owner: bytes = ALICE, **changes: Any) -> Record:
    """A record that *owner* released at NOW, kept for a day."""
    change = transitions.release(running(owner), owner, "refused", DAY, NOW)
    assert change is not None
    return change.record._replace(**changes)


def buried() -> Record:
    """The tombstone of a record that expired a day after NOW, kept for another."""
    seen = transitions.standing(finished(late_for=DAY), NOW + DAY)
    assert seen is not None
    assert seen.status is Status.TOMBSTONE
    return seen
