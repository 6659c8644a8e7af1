# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What sealing an answer of 2 KiB adds to storing it and to reading it again."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.table import Line
from benchmarks.timing import fastest
from keyonce.core.codec import decode, encode
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import (
    Claim,
    Completion,
    Fingerprint,
    Identity,
    StoredResult,
)
from keyonce.stores.memory import MemoryStore
from keyonce.stores.sealed import KeyRing, Sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.plan import Plan
    from benchmarks.timing import Batch
    from keyonce.core.protocols import Store

GROUP: Final = "sealing 2 KiB, memory"
STEPS: Final = 100
OWNER: Final = b"o" * 16
PRINT: Final = Fingerprint("v1", b"f" * 32)
HEADERS: Final = ((b"content-type", b"application/json"), (b"location", b"/orders/1"))
ANSWER: Final = StoredResult(201, HEADERS, b"x" * 2048, size=2048)
STORING: Final = "claim and complete"
READING: Final = "find, as a replay does"
RING: Final = KeyRing({"2026": bytes(range(32))}, current="2026")


def measure(plan: Plan) -> Iterator[Line]:
    """Measure both beside the same store without sealing, and the bare cipher."""
    times = asyncio.run(fastest(_batches(), plan.either(60, 250)))
    for what in ("AES-GCM alone: encrypt", "AES-GCM alone: decrypt"):
        yield Line(group=GROUP, what=what, value=times[what], unit="µs")
    frame = times["codec alone: encode, decode"]
    yield Line(group=GROUP, what="codec alone: encode, decode", value=frame, unit="µs")
    for what in (STORING, READING):
        plain, sealed = times[what], times[f"{what}, sealed"]
        yield Line(group=GROUP, what=what, value=plain, unit="µs")
        yield Line(
            group=GROUP, what=f"{what}, sealed", value=sealed - plain, unit="µs added"
        )


def _batches() -> dict[str, Batch]:
    cipher, bound = AESGCM(RING.keys[RING.current]), b"b" * 100
    nonce = os.urandom(12)
    ciphertext = cipher.encrypt(nonce, ANSWER.body, bound)
    return {
        "AES-GCM alone: encrypt": _times(
            lambda: cipher.encrypt(os.urandom(12), ANSWER.body, bound)
        ),
        "AES-GCM alone: decrypt": _times(
            lambda: cipher.decrypt(nonce, ciphertext, bound)
        ),
        "codec alone: encode, decode": _times(lambda: decode(encode(ANSWER))),
        STORING: _storing(MemoryStore()),
        f"{STORING}, sealed": _storing(Sealed(MemoryStore(), RING)),
        READING: _reading(MemoryStore()),
        f"{READING}, sealed": _reading(Sealed(MemoryStore(), RING)),
    }


def _times(step: Callable[[], object]) -> Batch:
    async def batch(_turn: int) -> int:
        for _ in range(STEPS):
            step()
        return STEPS

    return batch


def _storing(store: Store) -> Batch:
    async def batch(turn: int) -> int:
        for step in range(STEPS):
            _complete(store, Identity("tenant", "POST /orders", f"{turn}-{step}"))
        return STEPS

    return batch


def _reading(store: Store) -> Batch:
    identity = Identity("tenant", "POST /orders", "one")
    _complete(store, identity, retention_for=None)
    return _times(lambda: store.find(identity))


def _complete(
    store: Store, identity: Identity, retention_for: float | None = 0.5
) -> None:
    guarantee = Guarantee.AT_MOST_ONCE
    store.claim(Claim(identity, OWNER, PRINT, guarantee, lease_for=30, max_crashes=3))
    store.complete(Completion(identity, OWNER, ANSWER, retention_for))
