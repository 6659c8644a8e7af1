# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""An outcome that was sealed once opens in every later version."""

from __future__ import annotations

from keyonce.core.codec import decode
from keyonce.core.model import Identity, StoredResult
from keyonce.stores.memory import MemoryStore
from keyonce.stores.sealed import KeyRing, Sealed
from keyonce.stores.sealed.envelope import bound_to
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import claim_of, completion_of
from tests.stores.sealed.cases import outcome

IDENTITY = Identity("zoë", "POST /orders", "order-1")
RING = KeyRing({"2026-11": bytes(range(32))}, current="2026-11")
ANSWER = StoredResult(
    201, ((b"content-type", b"application/json"),), b'{"id":1}', size=8
)
FRAME = bytes.fromhex(
    "010500c9000007323032362d313101000102030405060708090a0b4603d6d2c5e4c2178d41979bd2"
    "861619e6b8f31984022f19591795e9740a61c6687fc0d3c5b27df60f861689aabd19453b48d68b8d"
    "a8fd94f5c1187d72b0cbf477b7c7d0cba7b098"
)


def test_what_an_outcome_is_bound_to():
    assert (
        b"25:keyonce sealed outcome v17:2026-114:zo\xc3\xab12:POST /orders7:order-1"
        == bound_to(IDENTITY, "2026-11")
    )


def test_a_sealed_outcome_of_the_first_version_opens():
    memory = MemoryStore(clock=FakeClock())
    memory.claim(claim_of(IDENTITY))
    memory.complete(completion_of(IDENTITY, result=decode(FRAME)))

    assert ANSWER == outcome(Sealed(memory, RING), IDENTITY)
