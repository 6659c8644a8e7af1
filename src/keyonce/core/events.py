# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What happened, as values, and who wants to hear of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from keyonce.core.model import Identity


class Outcome(StrEnum):
    """How one arrival ended. Every arrival at a guarded operation has exactly one.

    The first group ran the work; the second suppressed it; the third refused
    before the key was looked at; the last ran it without protection.
    """

    EXECUTED = "executed"
    FAILED = "failed"
    RELEASED = "released"
    UNCLEAR = "unclear"
    UNRECORDED = "unrecorded"
    LOST = "lost"
    NOT_COMMITTED = "not-committed"

    REPLAYED = "replayed"
    IN_PROGRESS = "in-progress"
    MISMATCH = "mismatch"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    NOT_KEPT = "not-kept"
    FORBIDDEN = "forbidden"

    INVALID_KEY = "invalid-key"
    MISSING_KEY = "missing-key"
    MISSING_SCOPE = "missing-scope"
    TOO_LARGE = "too-large"
    STORE_UNAVAILABLE = "store-unavailable"
    UNREADABLE = "unreadable"
    GONE = "gone"

    UNKEYED = "unkeyed"
    UNPROTECTED = "unprotected"
    OBSERVED = "observed"


RAN = frozenset(
    {
        Outcome.EXECUTED,
        Outcome.FAILED,
        Outcome.RELEASED,
        Outcome.UNCLEAR,
        Outcome.UNRECORDED,
        Outcome.LOST,
        Outcome.NOT_COMMITTED,
    }
)
SUPPRESSED = frozenset(
    {
        Outcome.REPLAYED,
        Outcome.IN_PROGRESS,
        Outcome.MISMATCH,
        Outcome.UNKNOWN,
        Outcome.EXPIRED,
        Outcome.NOT_KEPT,
        Outcome.FORBIDDEN,
    }
)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A guarded request came in. *rule* is the bounded label, never the path."""

    rule: str
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class Started:
    """The work begins: execution number *execution* of this key."""

    rule: str
    identity: Identity
    execution: int


@dataclass(frozen=True, slots=True)
class Ended:
    """An arrival ended with *outcome*, *took* seconds after it came in.

    *would* is set while observing: the outcome that enforcing would have had.
    *key_age* is how long the record had existed, in seconds, for a retry.
    *weak* says why the key looks badly made (``sequential``, ``short``), if so.
    *reference* is what the work noted of its effect, if it did.
    *reason* is what the store said where that decided, without any secret.
    """

    rule: str
    identity: Identity | None
    outcome: Outcome
    took: float
    execution: int = 0
    would: Outcome | None = None
    key_age: float | None = None
    weak: str | None = None
    reference: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StoreCalled:
    """One store verb took *took* seconds; *failed* when it did not answer.

    *reason* is then what the store said, without any secret.
    """

    store: str
    verb: str
    took: float
    failed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CacheAsked:
    """The cache of a tiered store was asked, and *answer* is how that went.

    ``hit``, ``miss`` (a claim went to the durable store), ``refused`` (what it held was
    torn, forged, or not for this) or ``failed`` (it is left alone for a while).
    """

    store: str
    answer: str


@dataclass(frozen=True, slots=True)
class LeaseRenewed:
    """A heartbeat prolonged a lease."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class LeaseGone:
    """A heartbeat found that its lease is no longer its own, or gave it up.

    *reason* is ``lost``, ``parked`` or ``work-limit``.
    """

    identity: Identity
    reason: str


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """A claim ended the lease of an owner who vanished: the key is now unknown.

    Told where the claim was made, which is elsewhere than where the work had run.
    """

    identity: Identity


@dataclass(frozen=True, slots=True)
class Recorded:
    """An outcome that could not be stored at first was stored later."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The hook was asked about a key whose outcome is unknown.

    *answer* is what came of it: ``completed``, ``never-happened``,
    ``still-unknown``, ``failed`` (the hook raised, or gave no answer that can be
    used) or ``overtaken`` (somebody else had settled it).
    """

    identity: Identity
    answer: str


@dataclass(frozen=True, slots=True)
class Purged:
    """A purge removed *count* records."""

    count: int


Event = (
    Arrived
    | Started
    | Ended
    | StoreCalled
    | CacheAsked
    | LeaseRenewed
    | LeaseGone
    | LeaseEnded
    | Recorded
    | Reconciled
    | Purged
)


class Observer(Protocol):
    """Somebody who is told what happened. Called inline: be quick, do not raise."""

    def notify(self, event: Event, /) -> None:
        """Take note of *event*."""


class NoObserver:
    """Hears nothing."""

    def notify(self, event: Event, /) -> None:
        """Do nothing with *event*."""


class Observers:
    """Several observers as one; one that raises does not stop the others."""

    def __init__(self, *observers: Observer) -> None:
        """Tell each of *observers*, in this order."""
        self._observers = observers

    def notify(self, event: Event, /) -> None:
        """Tell everybody about *event*."""
        for observer in self._observers:
            with suppress(Exception):
                observer.notify(event)
