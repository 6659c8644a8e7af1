# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The keys that guarded work sends on to what it calls."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

from keyonce.core.netstring import netstring

if TYPE_CHECKING:
    from keyonce.core.model import Identity


def derived_key(identity: Identity, born_at: float, name: str) -> str:
    """Derive the key of one outside call: a UUID (version 8, RFC 9562).

    The same for every execution under one record, unlike for other names, other
    identities, and for the same identity used anew after its retention.
    """
    born = b"%d" % round(born_at * 1000)
    parts = (*(part.encode() for part in identity), born, name.encode())
    digest = sha256(b"keyonce-downstream-1" + b"".join(map(netstring, parts))).digest()
    number = int.from_bytes(digest[:16], "big")
    number = number & ~(0xF << 76) | 8 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    return str(UUID(int=number))
