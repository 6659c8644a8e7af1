# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The answer to an attempt: record × attempt × now → one decision."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING

from keyonce.core.errors import RecordUnreadable
from keyonce.core.model import Lease
from keyonce.core.states import Status
from keyonce.core.transitions import lease_ended

if TYPE_CHECKING:
    from keyonce.core.model import Fingerprint, Record


@dataclass(frozen=True, slots=True)
class Proceed:
    """The key is yours: do the work under this lease, then finish it."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class Replay:
    """The work is done: *record.result* is the answer, and nothing runs.

    A result that was not kept says that the work is done all the same.
    """

    record: Record


@dataclass(frozen=True, slots=True)
class InFlight:
    """Another attempt is at work, *age* seconds so far.

    *ended* says that its lease has run out: whoever waits a moment and comes
    back may end it.
    """

    record: Record
    age: float
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The key was used for another request; the record is untouched."""

    record: Record


@dataclass(frozen=True, slots=True)
class Unknown:
    """The work began and nobody can say whether it was done.

    *asked_again_in* is in how many seconds the author's reconcile hook is asked
    next; None where there is none, and an operator has to find out.
    """

    record: Record
    asked_again_in: float | None = None


@dataclass(frozen=True, slots=True)
class Expired:
    """The outcome is past its retention and late retries are refused."""

    record: Record


@dataclass(frozen=True, slots=True)
class Incomparable:
    """The record was fingerprinted under another scheme: compare under that."""

    record: Record


Decision = Proceed | Replay | InFlight | Mismatch | Unknown | Expired | Incomparable


def decide(
    record: Record, fingerprint: Fingerprint, owner: bytes, now: float
) -> Decision:
    """Say what *record* means for an attempt that claimed as *owner*.

    Raises:
        RecordUnreadable: its outcome is sealed, and the store has no keys.
    """
    status, theirs = record.status, record.fingerprint
    if status is Status.IN_PROGRESS and record.owner == owner:
        return Proceed(lease_of(record))
    if status is Status.TOMBSTONE:
        return Expired(record)
    if theirs is None or theirs.scheme != fingerprint.scheme:
        return Incomparable(record)
    if not compare_digest(theirs.digest, fingerprint.digest):
        return Mismatch(record)
    if status is Status.COMPLETED:
        return _replay(record)
    if status is Status.UNKNOWN:
        return Unknown(record)
    return InFlight(record, max(0.0, now - record.claimed_at), lease_ended(record, now))


def _replay(record: Record) -> Replay:
    """Give *record* as the answer: never an envelope in place of an outcome."""
    if record.result is not None and record.result.sealed:
        raise RecordUnreadable(
            f"The outcome of a key in scope {record.identity.scope!r} is sealed under "
            f"the key {record.result.sealed!r}, and this store has no keys. Nothing "
            "was run. Open the store with its key ring: Sealed(store, ring), or "
            "'sealed+' before its URL."
        )
    return Replay(record)


def lease_of(record: Record) -> Lease:
    """Give the lease that the owner of *record* holds."""
    return Lease(
        record.identity,
        record.owner,
        record.guarantee,
        record.executions,
        record.claimed_at,
        record.lease_for,
        record.created_at,
        record.crashes,
        record.steps,
    )
