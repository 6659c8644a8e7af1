# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What happened in one run, as values: all that the oracle is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Identity, Record


class Applied(NamedTuple):
    """One command that the store carried out, at one instant.

    *at* is the world's time, *now* the store's. *by* is the request it was sent for,
    0 for the heartbeat and for hooks. *payload* is the claimant's.
    """

    at: float
    now: float
    verb: str
    identity: Identity
    token: bytes
    by: int
    before: Record | None
    after: Record | None
    written: bool
    payload: bytes = b""


class Asked(NamedTuple):
    """One arrival of a request at a node."""

    number: int
    client: int
    identity: Identity
    payload: bytes
    node: str
    at: float


class Answered(NamedTuple):
    """One answer that left a node whole."""

    to: int
    at: float
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        return next((value for known, value in self.headers if known == name), None)


class Ran(NamedTuple):
    """One run of a handler; *token* is empty where nothing protected it.

    *born_at* names the life of the record it ran under.
    """

    number: int
    request: int
    identity: Identity
    payload: bytes
    token: bytes
    execution: int
    born_at: float
    at: float


class Effect(NamedTuple):
    """One effect in the world outside, after it has deduplicated what it can."""

    at: float
    run: int
    step: str
    key: str


class Called(NamedTuple):
    """One call of a step's function: whether anything came of it or not."""

    at: float
    run: int
    step: str


@dataclass(slots=True)
class History:
    """One run, whole.

    *streamed* are the runs whose answer is an endless stream, *unheard* the owners of
    which a completion did not reach the store.
    """

    name: str
    guarantee: Guarantee
    bounded: bool
    loses_tail: bool
    jumps: bool
    retention: float
    bound: int
    asked: list[Asked] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    called: list[Called] = field(default_factory=list)
    streamed: set[int] = field(default_factory=set)
    unheard: set[bytes] = field(default_factory=set)
    stuck: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    reached: Counter[str] = field(default_factory=Counter)
    faults: int = 0
