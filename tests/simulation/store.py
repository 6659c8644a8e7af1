# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The store of a virtual world: one row for each key, one command at a time.

It applies the shipped rules of ``core.transitions``; the oracle judges each change by
a law of its own, so that a bug in those rules is found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keyonce.core import transitions
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import (
    Claim,
    Claimed,
    Completion,
    Identity,
    Note,
    Query,
    Record,
    Settlement,
    Traits,
)
from keyonce.core.states import Status
from keyonce.core.transitions import Change
from keyonce.stores.shell import listed
from tests.simulation.history import Applied, History
from tests.simulation.world import EPOCH, World

TRAITS = Traits(
    name="simulated",
    guarantees=frozenset(Guarantee) - {Guarantee.EXACTLY_ONCE},
    durable=True,
    many_processes=True,
)


class ModelStore:
    """All records, and everything that was ever done to them."""

    def __init__(self, world: World, history: History) -> None:
        self._world = world
        self._history = history
        self._ears: dict[Identity, dict[object, Callable[[], object]]] = {}
        self.records: dict[Identity, Record] = {}
        self.offset = 0.0

    def clock(self) -> float:
        return EPOCH + self._world.now + self.offset

    # ------------------------------------------------------------------- the verbs

    def claim(self, by: int, payload: bytes, command: Claim) -> Claimed:
        now, identity = self.clock(), command.identity
        before = self.records.get(identity)
        change = transitions.claim(before, command, now)
        self._keep("claim", identity, command.owner, by, before, change, now, payload)
        return Claimed(change.record, now)

    def complete(self, by: int, payload: bytes, command: Completion) -> Record | None:
        now, identity = self.clock(), command.identity
        before = self.records.get(identity)
        change = transitions.complete(before, command, now)
        return self._keep("complete", identity, command.owner, by, before, change, now)

    def release(
        self,
        by: int,
        payload: bytes,
        identity: Identity,
        owner: bytes,
        reason: str,
        retention_for: float | None,
    ) -> bool:
        now, before = self.clock(), self.records.get(identity)
        change = transitions.release(before, owner, reason, retention_for, now)
        return (
            self._keep("release", identity, owner, by, before, change, now) is not None
        )

    def abandon(
        self, by: int, payload: bytes, identity: Identity, owner: bytes, reason: str
    ) -> bool:
        now, before = self.clock(), self.records.get(identity)
        change = transitions.abandon(before, owner, reason, now)
        return (
            self._keep("abandon", identity, owner, by, before, change, now) is not None
        )

    def renew(
        self, by: int, payload: bytes, identity: Identity, owner: bytes
    ) -> Record | None:
        now, before = self.clock(), self.records.get(identity)
        change = transitions.renew(before, owner, now)
        return self._keep("renew", identity, owner, by, before, change, now)

    def note(self, by: int, payload: bytes, command: Note) -> bool:
        now, identity = self.clock(), command.identity
        before = self.records.get(identity)
        change = transitions.note(before, command)
        kept = self._keep("note", identity, command.owner, by, before, change, now)
        return kept is not None

    def find(
        self, by: int, payload: bytes, identity: Identity, stale: float = 0.0
    ) -> Claimed | None:
        """Read one record, as it was *stale* seconds ago."""
        now, stored = self.clock(), self.records.get(identity)
        if stale:
            since = self._world.now - stale
            for applied in reversed(self._history.applied):
                if applied.at < since:
                    break
                if applied.identity == identity and applied.written:
                    stored = applied.before
        seen = transitions.standing(stored, now)
        return None if seen is None else Claimed(seen, now)

    def settle(self, by: int, payload: bytes, command: Settlement) -> Record:
        now, identity = self.clock(), command.identity
        before = self.records.get(identity)
        change = transitions.settle(before, command, now)
        self._keep("settle", identity, b"", by, before, change, now)
        return change.record

    def listing(self, by: int, payload: bytes, query: Query) -> list[Record]:
        everything = sorted(self.records.values(), key=lambda record: record.identity)
        return list(listed(everything, query, self.clock()))[: query.limit]

    def announce(self, by: int, payload: bytes, identity: Identity) -> bool:
        record = self.records.get(identity)
        return record is not None and record.status is Status.IN_PROGRESS

    def examine(self, by: int, payload: bytes) -> list[Any]:
        return []

    # ------------------------------------------------- what happens to it by itself

    def purge(self, claimed: Identity | None = None) -> int:
        """Remove what has expired, while *claimed* is about to be claimed."""
        now, purged = self.clock(), 0
        for identity, record in list(self.records.items()):
            left = transitions.purge(record, now)
            if left == record:
                continue
            purged += 1
            if identity == claimed:
                self._history.reached["purge meets a claim"] += 1
            if left is None:
                del self.records[identity]
            else:
                self.records[identity] = left
            self._log("purge", identity, b"", 0, record, left, now, True)
        return purged

    def lose_tail(self, seconds: float) -> int:
        """Fail over to a replica that has not heard of the last *seconds*."""
        since, lost = self._world.now - seconds, 0
        now = self.clock()
        for applied in reversed(list(self._history.applied)):
            if applied.at < since or applied.verb == "failover":
                break
            if not applied.written:
                continue
            identity = applied.identity
            current = self.records.get(identity)
            if applied.before is None:
                self.records.pop(identity, None)
            else:
                self.records[identity] = applied.before
            self._log("failover", identity, b"", 0, current, applied.before, now, True)
            lost += 1
        return lost

    def watch(
        self, identity: Identity, who: object, wake: Callable[[], object]
    ) -> None:
        self._ears.setdefault(identity, {})[who] = wake

    def unwatch(self, identity: Identity, who: object) -> None:
        self._ears.get(identity, {}).pop(who, None)

    # ------------------------------------------------------------------------------

    def _keep(
        self,
        verb: str,
        identity: Identity,
        token: bytes,
        by: int,
        before: Record | None,
        change: Change | None,
        now: float,
        payload: bytes = b"",
    ) -> Record | None:
        written = change is not None and change.written
        after = before if change is None else change.record
        if written and after is not None:
            self.records[identity] = after
        self._log(verb, identity, token, by, before, after, now, written, payload)
        if written and after is not None and after.status is not Status.IN_PROGRESS:
            for wake in list(self._ears.get(identity, {}).values()):
                wake()
        return None if change is None else change.record

    def _log(
        self,
        verb: str,
        identity: Identity,
        token: bytes,
        by: int,
        before: Record | None,
        after: Record | None,
        now: float,
        written: bool,
        payload: bytes = b"",
    ) -> None:
        self._history.applied.append(
            Applied(
                self._world.now,
                now,
                verb,
                identity,
                token,
                by,
                before,
                after,
                written,
                payload,
            )
        )
