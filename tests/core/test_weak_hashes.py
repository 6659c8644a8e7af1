# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Hashes that collide refuse a request, and never give it another's answer (F-51)."""

from __future__ import annotations

from itertools import count

import pytest

from keyonce.core.decide import Incomparable, Mismatch, Proceed, Replay, decide
from keyonce.core.fingerprint import Fingerprinter, FingerprintSource
from keyonce.core.model import Fingerprint
from keyonce.engine.flights import Flights
from keyonce.stores.memory import MemoryStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    SECOND,
    claim_of,
    completion_of,
    record_in,
)


class Weak(str):
    """A text whose hash has eight bits, and most of them are alike."""

    __slots__ = ()

    def __hash__(self):
        return len(self) & 0xFF

    def __eq__(self, other):
        return str.__eq__(self, other)


def weak(number):
    return ORDER._replace(key=Weak(f"{number:04}"))


def source_of(body):
    return FingerprintSource(
        "POST", b"/orders", b"application/json", (), len(body), lambda: iter([body])
    )


def test_keys_with_one_hash_have_records_of_their_own():
    store = MemoryStore(clock=FakeClock())
    for number in range(300):
        store.claim(claim_of(weak(number), b"%016d" % number))
        store.complete(completion_of(weak(number), b"%016d" % number))

    owners = {record_in(store, weak(number)).owner for number in range(300)}

    assert 300 == len(owners)


def test_keys_with_one_hash_do_not_wait_for_each_other():
    flights = Flights()

    seats = [flights.sit(weak(number)) for number in range(300)]

    assert all(seat.leads for seat in seats)
    assert not flights.sit(weak(7)).leads


@pytest.mark.parametrize("kept", [1, 8, 16, 31])
def test_a_digest_that_was_cut_or_agrees_in_part_is_no_match(kept):
    whole = Fingerprint("v1", bytes(range(32)))
    store = MemoryStore(clock=FakeClock())
    store.claim(claim_of(fingerprint=whole))
    store.complete(completion_of(result=ANSWER, retention_for=HOUR))
    record = record_in(store)
    cut = Fingerprint("v1", whole.digest[:kept])
    alike = Fingerprint("v1", whole.digest[:kept] + bytes(32 - kept))

    assert Replay(record) == decide(record, whole, SECOND, 0.0)
    for other in (cut, alike):
        assert Mismatch(record) == decide(record, other, SECOND, 0.0)
        shortened = record._replace(fingerprint=other)
        assert Mismatch(shortened) == decide(shortened, whole, SECOND, 0.0)


def test_a_digest_of_another_scheme_is_no_match_whatever_its_bytes():
    digest = bytes(32)
    store = MemoryStore(clock=FakeClock())
    store.claim(claim_of(fingerprint=Fingerprint("v0", digest)))
    store.complete(completion_of())
    record = record_in(store)

    same_bytes = Fingerprint("v1", digest)

    assert Incomparable(record) == decide(record, same_bytes, SECOND, 0.0)


def test_a_fingerprint_is_whole():
    assert 32 == len(Fingerprinter().of(source_of(b"{}")).digest)


def test_fields_whose_short_digests_collide_still_refuse_the_request():
    maker = Fingerprinter()
    first = source_of(b'{"amount": 0}')
    print_ = maker.of(first)
    fields = maker.field_map(first, print_.digest)
    store = MemoryStore(clock=FakeClock())
    claimed = store.claim(
        claim_of(fingerprint=print_, field_map=lambda _digest: fields)
    )
    assert isinstance(decide(claimed.record, print_, FIRST, 0.0), Proceed)
    store.complete(completion_of())

    # Their digests have 16 bits: some other amount has the same one.
    bodies = (b'{"amount": %d}' % amount for amount in count(1))
    colliding = next(
        other
        for other in map(source_of, bodies)
        if maker.differing(other, print_, fields) == ()
    )

    record = record_in(store)
    assert Mismatch(record) == decide(record, maker.of(colliding), SECOND, 0.0)
