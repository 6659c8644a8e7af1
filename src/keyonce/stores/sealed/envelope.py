# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What is encrypted of a record as bytes, and what it is bound to.

    envelope = version:1 nonce:12 ciphertext tag:16

An envelope is a contract with every later version of this program, as the frame
inside it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from keyonce.core.netstring import netstring

if TYPE_CHECKING:
    from keyonce.core.model import Identity

NONCE: Final = 12
TAG: Final = 16
ADDED: Final = 1 + NONCE + TAG

_VERSION: Final = b"\x01"

# What is sealed. The words are stored in what an envelope is bound to: never change.
OUTCOME: Final = "outcome"
STEPS: Final = "account of steps"


class Envelope(NamedTuple):
    """A nonce that is used once, and the ciphertext with its tag."""

    nonce: bytes
    ciphertext: bytes


def pack(envelope: Envelope) -> bytes:
    """Write *envelope*."""
    return b"".join((_VERSION, *envelope))


def unpack(data: bytes) -> Envelope | None:
    """Read an envelope; None when it is none that this version knows."""
    if len(data) < ADDED or data[:1] != _VERSION:
        return None
    start = len(_VERSION) + NONCE
    return Envelope(data[len(_VERSION) : start], data[start:])


def bound_to(identity: Identity, key_id: str, what: str = OUTCOME) -> bytes:
    """Say whose it is and *what*: it opens in no other place, under no other key id.

    Each part has its length in front, so that no two run together.
    """
    scope, operation, key = [part.encode("utf-8", "surrogatepass") for part in identity]
    name = key_id.encode("ascii")
    return b"%b%d:%b%d:%b%d:%b%d:%b" % (
        netstring(f"keyonce sealed {what} v1".encode()),
        len(name),
        name,
        len(scope),
        scope,
        len(operation),
        operation,
        len(key),
        key,
    )
