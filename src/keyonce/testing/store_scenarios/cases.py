# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The people and things of the scenarios."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyonce.core.protocols import Store
    from keyonce.testing.clock import FakeClock

FIRST: Final = b"first-owner-----"
SECOND: Final = b"second-owner----"
THIRD: Final = b"third-owner-----"
PAYLOAD: Final = Fingerprint("scheme-1", bytes(range(32)))
OTHER_PAYLOAD: Final = Fingerprint("scheme-1", bytes(range(1, 33)))
ORDER: Final = Identity("alice", "POST /orders", "order-1")
ANSWER: Final = StoredResult(
    201, ((b"content-type", b"application/json"),), b'{"id":1}', size=8
)
LEASE: Final = 30.0
GRACE: Final = 10.0
HOUR: Final = 3600.0
YEAR: Final = 365 * 24 * HOUR


def named(key: str) -> Identity:
    """Give alice's order of that key."""
    return ORDER._replace(key=key)


def claim_of(
    identity: Identity = ORDER,
    owner: bytes = FIRST,
    *,
    fingerprint: Fingerprint = PAYLOAD,
    guarantee: Guarantee = Guarantee.AT_MOST_ONCE,
    lease_for: float = LEASE,
    max_crashes: int = 3,
    witnessed: float | None = None,
    field_map: Callable[[bytes], bytes] = lambda _digest: b"field map",
) -> Claim:
    """Want *identity*."""
    return Claim(
        identity,
        owner,
        fingerprint,
        guarantee,
        lease_for,
        max_crashes,
        witnessed,
        field_map,
    )


def completion_of(
    identity: Identity = ORDER,
    owner: bytes = FIRST,
    *,
    result: StoredResult = ANSWER,
    retention_for: float | None = HOUR,
    late_for: float = 0.0,
    reference: str | None = None,
) -> Completion:
    """Be done with *identity*."""
    return Completion(identity, owner, result, retention_for, late_for, reference)


def settlement_of(
    identity: Identity = ORDER,
    *,
    result: StoredResult | None = None,
    retention_for: float | None = HOUR,
) -> Settlement:
    """Decide about *identity*, as an operator."""
    reason = "asked the bank"
    return Settlement(identity, reason, "olga", result, retention_for)


def record_in(store: Store, identity: Identity = ORDER) -> Record:
    """Read a record that must be there."""
    found = store.find(identity)
    assert found is not None
    return found.record


def completed(
    store: Store,
    identity: Identity = ORDER,
    *,
    retention_for: float | None = HOUR,
    late_for: float = 0.0,
) -> Record:
    """Claim and complete *identity*."""
    store.claim(claim_of(identity))
    done = store.complete(
        completion_of(identity, retention_for=retention_for, late_for=late_for)
    )
    assert done is not None
    return done


def pass_lease(clock: FakeClock) -> None:
    """Let a lease that begins now end, and the owner's grace as well."""
    clock.advance(LEASE + GRACE)


def taken_over(
    store: Store,
    clock: FakeClock,
    *,
    guarantee: Guarantee = Guarantee.AT_LEAST_ONCE,
    owner: bytes = SECOND,
    max_crashes: int = 3,
) -> Record:
    """Let the lease of ORDER end and *owner* come back for it."""
    pass_lease(clock)
    seen = record_in(store).lease_until
    command = claim_of(
        owner=owner, guarantee=guarantee, witnessed=seen, max_crashes=max_crashes
    )
    return store.claim(command).record


@contextmanager
def raises(kind: type[Exception]) -> Iterator[None]:
    """Expect *kind* inside the block."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")
