# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The verbs that know of the cache, written once.

The durable store decides, always. What it has called completed it calls so until the
record expires (``keyonce.core.states``: COMPLETED leads to absent or TOMBSTONE alone,
and ``standing`` takes it there by time alone), so such an answer may be given again
without asking. Nothing else is ever put into the cache. Only an operator makes it
otherwise before that, by settling or forgetting: then this cache drops it, and a
cache that does not hear of that serves it for ``hold_for`` at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyonce.core.model import Claimed
from keyonce.core.states import Status
from keyonce.stores.tiered.entries import Refused
from keyonce.stores.tiered.words import (
    Claiming,
    Completing,
    Drop,
    Finding,
    Glancing,
    Look,
    Put,
    Settling,
)

if TYPE_CHECKING:
    from keyonce.core.model import Claim, Completion, Identity, Record, Settlement
    from keyonce.stores.tiered.shelf import Shelf
    from keyonce.stores.tiered.words import Procedure


def claim(shelf: Shelf, command: Claim) -> Procedure[Claimed]:
    """Answer from the cache, or let the durable store arbitrate."""
    name = shelf.name_of(command.identity)
    held = yield from _held(shelf, name, command.identity)
    if held is not None:
        return held
    shelf.standing.count("miss")
    asked_at = shelf.reckoning.instant()
    claimed: Claimed = yield Claiming(command)
    shelf.reckoning.heard(asked_at, claimed.now)
    yield from _keep(shelf, name, claimed.record, claimed.now)
    return claimed


def complete(shelf: Shelf, command: Completion) -> Procedure[Record | None]:
    """Complete, and keep the outcome once it is safe."""
    record: Record | None = yield Completing(command)
    if record is not None and record.owner == command.owner:
        ended_at = record.ended_at or record.claimed_at
        yield from _keep(shelf, shelf.name_of(command.identity), record, ended_at)
    return record


def find(shelf: Shelf, identity: Identity) -> Procedure[Claimed | None]:
    """Read the durable store, and keep what is completed."""
    asked_at = shelf.reckoning.instant()
    found: Claimed | None = yield Finding(identity)
    yield from _learn(shelf, shelf.name_of(identity), found, asked_at)
    return found


def glance(shelf: Shelf, identity: Identity) -> Procedure[Claimed | None]:
    """Read the cache, then the durable store if it can be read at once."""
    name = shelf.name_of(identity)
    held = yield from _held(shelf, name, identity)
    if held is not None:
        return held
    asked_at = shelf.reckoning.instant()
    found: Claimed | None = yield Glancing(identity)
    yield from _learn(shelf, name, found, asked_at)
    return found


def settle(shelf: Shelf, command: Settlement) -> Procedure[Record]:
    """Settle, and drop what the cache may have: a torn record, or one to forget."""
    record: Record = yield Settling(command)
    yield Drop(shelf.name_of(command.identity))
    return record


def _held(shelf: Shelf, name: bytes, identity: Identity) -> Procedure[Claimed | None]:
    """Give what the cache has to say about *identity*, if that is worth anything."""
    if not shelf.reckoning.begun:
        return None
    entry: bytes | None = yield Look(name)
    if entry is None:
        return None
    try:
        record, until = shelf.read(name, entry, identity)
    except Refused:
        shelf.standing.count("refused")
        yield Drop(name)
        return None
    time = shelf.reckoning.now()
    if time is None or time[1] >= until:
        return None
    shelf.standing.count("hit")
    return Claimed(record, time[0])


def _learn(
    shelf: Shelf, name: bytes, found: Claimed | None, asked_at: tuple[float, float]
) -> Procedure[None]:
    if found is not None:
        shelf.reckoning.heard(asked_at, found.now)
        yield from _keep(shelf, name, found.record, found.now)


def _keep(shelf: Shelf, name: bytes, record: Record, now: float) -> Procedure[None]:
    """Put an outcome into the cache, if it is one that fits and lasts a while."""
    if record.status is not Status.COMPLETED or record.result is None:
        return
    seconds = shelf.worth_holding_for(record, now)
    if seconds <= 0:
        return
    entry = shelf.written(name, record, now + seconds)
    if entry is not None:
        yield Put(name, entry, seconds)
