# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What a procedure of the tiered store asks for."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from keyonce.core.model import Claim, Completion, Identity, Settlement

R = TypeVar("R")


class Look(NamedTuple):
    """Read the cache. Answer: an entry, or None also when it does not answer."""

    name: bytes


class Put(NamedTuple):
    """Write to the cache, if it takes it. Answer: None."""

    name: bytes
    entry: bytes
    seconds: float


class Drop(NamedTuple):
    """Take something out of the cache, if it hears it. Answer: None."""

    name: bytes


class Claiming(NamedTuple):
    """Claim at the durable store. Answer: what it says."""

    command: Claim


class Completing(NamedTuple):
    """Complete at the durable store. Answer: what it says."""

    command: Completion


class Finding(NamedTuple):
    """Read the durable store. Answer: what it says."""

    identity: Identity


class Glancing(NamedTuple):
    """Read the durable store at once. Answer: what it says, None if it cannot."""

    identity: Identity


class Settling(NamedTuple):
    """Settle at the durable store. Answer: what it says."""

    command: Settlement


CacheWord = Look | Put | Drop
Word = CacheWord | Claiming | Completing | Finding | Glancing | Settling
Procedure = Generator[Word, Any, R]
