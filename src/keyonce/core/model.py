# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The values that floors and rooms hand to each other.

Instants (``…_at``, ``…_until``) are seconds since the epoch on the store's
clock; spans (``…_for``) are seconds. What is made on every request is a
NamedTuple: as frozen as a dataclass, at a third of its cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyonce.core.guarantee import Guarantee
    from keyonce.core.states import Status


class Identity(NamedTuple):
    """Whose key, for what: the three columns of every index.

    *scope* is a stable principal, *operation* is method and raw path, *key* is
    what the caller sent, unquoted.
    """

    scope: str
    operation: str
    key: str


class Fingerprint(NamedTuple):
    """The digest of a request, and the scheme that it was made under.

    Two fingerprints say something about each other only when their schemes are
    equal.
    """

    scheme: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A whole outcome: status, ordered headers with duplicates, body bytes.

    *kept* is false when the body was too large to keep: then *body* is empty
    and the work still counts as done. *size* is the length of the body as it
    was sent. *sealed* is the id of the key that the outcome is encrypted under:
    then *body* is its envelope, and only a store that knows the key can read it.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    kept: bool = True
    size: int = 0
    sealed: str = ""


class Record(NamedTuple):
    """What the store holds of one identity.

    *executions* counts runs of the work under a claim; *crashes* counts those
    that vanished without a word since the last clear end. *owner* is the token
    of the last claim. *fields* is the field map beside the fingerprint, *steps*
    what the work has noted of its finished parts (``core.steps``). *noted* is the
    number of the owner's last note; a store that compares it where it is kept need not
    give it.
    """

    identity: Identity
    status: Status
    guarantee: Guarantee
    owner: bytes
    executions: int
    created_at: float
    claimed_at: float
    lease_for: float
    crashes: int = 0
    lease_until: float = 0.0
    fingerprint: Fingerprint | None = None
    fields: bytes = b""
    ended_at: float | None = None
    expires_at: float | None = None
    late_until: float | None = None
    result: StoredResult | None = None
    reference: str | None = None
    reason: str | None = None
    steps: bytes = b""
    noted: int = 0


def no_fields(_digest: bytes) -> bytes:
    """Give the empty field map, whatever the digest."""
    return b""


class Attempt(NamedTuple):
    """One arrival of a key.

    *under* makes the fingerprint of the same request under another scheme, or
    None where this program does not know that scheme. *field_map* makes the
    bounded map of field digests, keyed with the digest it is given; it is
    called only when a record is written.
    """

    identity: Identity
    fingerprint: Fingerprint
    under: Callable[[str], Fingerprint | None]
    field_map: Callable[[bytes], bytes] = no_fields


class Claim(NamedTuple):
    """The store command behind an attempt.

    *owner* is a token that never repeats. *witnessed* is the end of the lease
    that this claimant has seen run out and waited on; only that lease may be
    taken over, so that a live owner always gets one more renewal in.
    """

    identity: Identity
    owner: bytes
    fingerprint: Fingerprint
    guarantee: Guarantee
    lease_for: float
    max_crashes: int
    witnessed: float | None = None
    field_map: Callable[[bytes], bytes] = no_fields


class Claimed(NamedTuple):
    """The store's answer to a claim: the record as it now is, and its clock."""

    record: Record
    now: float


class Lease(NamedTuple):
    """The right to do the work until a time, and its fence, the owner token.

    *born_at* is when the key was first claimed; *crashes* counts the executions
    that vanished just before this one; *steps* is what they noted.
    """

    identity: Identity
    owner: bytes
    guarantee: Guarantee
    execution: int
    claimed_at: float
    lasts_for: float
    born_at: float = 0.0
    crashes: int = 0
    steps: bytes = b""


class Completion(NamedTuple):
    """The store command that ends an execution with an outcome.

    *retention_for* None keeps the outcome for ever; *late_for* is how long after
    its retention the record refuses late retries; zero lets a late retry run as new.
    """

    identity: Identity
    owner: bytes
    result: StoredResult
    retention_for: float | None
    late_for: float = 0.0
    reference: str | None = None


class Note(NamedTuple):
    """The store command by which an owner at work writes down how far it got.

    What is None stays as it is. An owner counts its notes by *number*: one with a
    smaller number than the last that was written changes nothing, however late the
    store carries it out.
    """

    identity: Identity
    owner: bytes
    steps: bytes | None = None
    reference: str | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an operator decides about a record whose outcome is unknown.

    With a *result* the record is resolved as completed; without one it is
    released and the next attempt runs. *reason* and *actor* go to the audit. An
    outcome that a sealed store cannot open is given up only with *unreadable*, for
    good. A store settles a completed record only *in_place_of* exactly the outcome
    that it has, which such a store says. With
    *execution* the decision holds for that run of the work only.

    With *forgets* it is the other way round: a record that has ended is taken away,
    whatever its outcome, and the key is a new one. One that is open or unknown stays.
    """

    identity: Identity
    reason: str
    actor: str
    result: StoredResult | None = None
    retention_for: float | None = 86_400.0
    unreadable: bool = False
    in_place_of: StoredResult | None = None
    execution: int | None = None
    forgets: bool = False


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One operator action, as it was carried out."""

    at: float
    actor: str
    action: str
    identity: Identity
    reason: str
    before: str


@dataclass(frozen=True, slots=True)
class Query:
    """Which records an operator wants to see; None means any.

    *after* continues a listing behind that identity.
    """

    status: Status | None = None
    key: str | None = None
    scope: str | None = None
    operation: str | None = None
    limit: int = 100
    after: Identity | None = None


@dataclass(frozen=True, slots=True)
class StoreStats:
    """How many records there are by status, and what they occupy.

    *oldest* gives the earliest claim of each status, on the store's clock. *expired*
    says how many of the records are past their retention and wait to be purged.
    *stored_bytes* is the whole, the three others are its parts where the store tells
    them: outcomes that lie within their records count as records. With *estimated*
    what has ended is counted by a sample; what is open is always counted exactly.
    """

    counts: dict[Status, int]
    oldest: dict[Status, float]
    stored_bytes: int | None
    now: float
    expired: int | None = None
    record_bytes: int | None = None
    outcome_bytes: int | None = None
    index_bytes: int | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that ``doctor`` looked at.

    *level* is ``ok``, ``warning`` or ``error``; *mend* says what to do about it.
    """

    level: str
    subject: str
    detail: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a store is able to promise, known without asking the server.

    *largest_result* is the store's own bound on one kept outcome, in bytes.
    *immediate* says that its async verbs never wait, so that nothing can be
    cancelled half-way. *sealed* says that outcomes are encrypted below it, so that
    what it gives away is in the clear.
    """

    name: str
    guarantees: frozenset[Guarantee]
    durable: bool
    many_processes: bool
    largest_result: int | None = None
    immediate: bool = False
    sealed: bool = False
