# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the upstream sees of an idempotency key: the key, nothing, or a derived one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, assert_never
from uuid import UUID

from keyonce.core.policy import ForwardKey

if TYPE_CHECKING:
    from keyonce.core.model import Identity
    from keyonce.http.messages import Headers

_PURPOSE: Final = b"keyonce forwarded key 1"


def derived_key(identity: Identity) -> str:
    """Give a key made of *identity*: the same on every attempt, and not reversible.

    Two callers that use the same key get different ones, so an upstream that knows
    nothing of scopes keeps them apart.
    """
    digest = hashlib.sha256(_PURPOSE)
    for part in identity:
        encoded = part.encode("utf-8", "surrogateescape")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    number = int.from_bytes(digest.digest()[:16], "big")
    # RFC 9562 §5.8: version 8, for a value of one's own making.
    number = number & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62
    return str(UUID(int=number))


def with_forwarded_key(
    headers: Headers, identity: Identity, how: ForwardKey, *, header: bytes
) -> Headers:
    """Give *headers* with the line of the key as *how* wants it; *header* names it."""
    match how:
        case ForwardKey.FORWARD:
            return headers
        case ForwardKey.STRIP:
            return tuple(pair for pair in headers if pair[0] != header)
        case ForwardKey.DERIVE:
            quoted = f'"{derived_key(identity)}"'.encode()
            return tuple((n, quoted if n == header else v) for n, v in headers)
        case _:
            assert_never(how)
