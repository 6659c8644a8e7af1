# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What fits beneath fits sealed, a little less; what does not still counts as done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyonce.core.codec import encode
from keyonce.core.model import StoredResult
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.stores.sealed import AsyncSealed, KeyRing, Sealed
from keyonce.stores.sealed.sealing import HEADERS
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    ORDER,
    claim_of,
    completion_of,
    settlement_of,
)
from tests.stores.sealed.cases import RING, outcome

BOUND = 100_000
LONGEST_ID = KeyRing({"i" * 32: b"k" * 32}, current="i" * 32)
SOME = ((b"content-type", b"text/plain"), (b"location", b"/orders/1"))
MANY = ((b"x", b"v" * 30_000),) * 5


class Bounded(MemoryStore):
    """A memory with a bound on what it keeps, as others have."""

    @property
    def traits(self):
        return replace(super().traits, largest_result=BOUND)


def kept_by(store, result):
    store.claim(claim_of())
    told = store.complete(completion_of(result=result)).result
    assert told == outcome(store)
    return told


def bound_of(store):
    return store.traits.largest_result


def result_of(size, headers=SOME):
    return StoredResult(200, headers, b"b" * size, size=size)


@pytest.mark.parametrize("more", [-1, 0])
def test_a_body_up_to_the_bound_is_kept_whole(more):
    beneath = Bounded(clock=FakeClock())
    sealed = Sealed(beneath, LONGEST_ID)
    result = result_of(bound_of(sealed) + more)

    assert result == kept_by(sealed, result)
    frame = encode(outcome(beneath))
    assert len(frame) <= len(encode(result_of(BOUND)))


def test_a_body_over_the_bound_counts_as_done_and_is_not_kept():
    sealed = Sealed(Bounded(clock=FakeClock()), RING)
    size = bound_of(sealed) + 1

    kept = kept_by(sealed, result_of(size))

    assert StoredResult(200, SOME, b"", kept=False, size=size) == kept


def test_headers_that_do_not_fit_are_left_out():
    sealed = Sealed(Bounded(clock=FakeClock()), RING)

    kept = kept_by(sealed, result_of(10, headers=MANY))

    assert StoredResult(200, (), b"", kept=False, size=10) == kept


def test_many_headers_with_a_small_body_are_kept():
    sealed = Sealed(Bounded(clock=FakeClock()), RING)
    result = result_of(10, headers=MANY[:2])

    assert sum(len(value) for _, value in result.headers) > HEADERS
    assert result == kept_by(sealed, result)


def test_what_an_operator_hands_in_is_bounded_alike():
    clock = FakeClock()
    sealed = Sealed(Bounded(clock=clock), RING)
    sealed.claim(claim_of())
    sealed.abandon(ORDER, claim_of().owner, "crashed")

    sealed.settle(settlement_of(result=result_of(BOUND)))

    assert not outcome(sealed).kept


def test_the_rest_of_what_a_store_promises_is_as_beneath():
    for plain, sealed in (
        (MemoryStore(), Sealed(MemoryStore(), RING)),
        (AsyncMemoryStore(), AsyncSealed(AsyncMemoryStore(), RING)),
    ):
        assert replace(plain.traits, sealed=True) == sealed.traits
