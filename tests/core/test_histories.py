# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Any commands, in any order, at any time: what always holds of one record."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from keyonce.core import transitions
from keyonce.core.decide import Proceed, Replay, decide
from keyonce.core.errors import SettlementRefused
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Record, StoredResult
from keyonce.core.states import TABLE, Status
from keyonce.core.transitions import Change
from tests.core.records import NOW, OTHER, PRINT, claim, completion, settlement

spans = st.sampled_from([0.0, 0.5, 3.0, 10.0, 29.0, 40.0, 1_000.0])
guarantees = st.sampled_from(Guarantee)


class OneRecord(RuleBasedStateMachine):
    """One row, as a store would keep it, and everybody who ever claimed it."""

    #: What lets a record stay in its state although it was written.
    STAYS: ClassVar = {Status.IN_PROGRESS}

    def __init__(self) -> None:
        super().__init__()
        self.row: Record | None = None
        self.now = NOW
        self.owners: list[bytes] = []
        self.former: set[bytes] = set()
        self.given: dict[bytes, StoredResult] = {}

    @initialize(guarantee=guarantees)
    def begin(self, guarantee: Guarantee) -> None:
        self.claims(guarantee, same=True, witness=False)

    def keep(self, change: Change | None) -> None:
        """Write *change* as a store does, checking that the table allows it."""
        if change is None:
            return
        if not change.written:
            assert change.record == transitions.standing(self.row, self.now)
            return
        before = transitions.standing(self.row, self.now)
        was = None if before is None else before.status
        assert change.record.status in TABLE[was]
        self.row = change.record

    # ---------------------------------------------------------- the commands

    @rule(guarantee=guarantees, same=st.booleans(), witness=st.booleans())
    def claims(self, guarantee: Guarantee, *, same: bool, witness: bool) -> None:
        owner = b"%d" % len(self.owners)
        before = transitions.standing(self.row, self.now)
        command = claim(
            owner,
            fingerprint=PRINT if same else OTHER,
            guarantee=guarantee,
            max_crashes=2,
            witnessed=before.lease_until if before and witness else None,
        )
        change = transitions.claim(self.row, command, self.now)
        self.keep(change)
        if change.record.owner == owner:
            self.former |= set(self.owners)
            self.owners.append(owner)
        elif change.written:
            assert Status.UNKNOWN is change.record.status
            assert before is not None
            assert before.owner == change.record.owner

    @precondition(lambda self: self.owners)
    @rule(data=st.data(), late_for=spans, retention_for=st.none() | spans)
    def completes(
        self, data: Any, late_for: float, retention_for: float | None
    ) -> None:
        owner = data.draw(st.sampled_from(self.owners))
        result = StoredResult(200, body=owner)
        command = completion(
            owner, result=result, late_for=late_for, retention_for=retention_for
        )
        stored = transitions.standing(self.row, self.now)
        self.unchanged_by_former(owner, transitions.complete(stored, command, self.now))

    @precondition(lambda self: self.owners)
    @rule(data=st.data(), verb=st.sampled_from(["renew", "release", "abandon"]))
    def ends(self, data: Any, verb: str) -> None:
        owner = data.draw(st.sampled_from(self.owners))
        stored = transitions.standing(self.row, self.now)
        match verb:
            case "renew":
                change = transitions.renew(stored, owner, self.now)
            case "release":
                change = transitions.release(stored, owner, "why", 30.0, self.now)
            case _:
                change = transitions.abandon(stored, owner, "why", self.now)
        self.unchanged_by_former(owner, change)

    def unchanged_by_former(self, owner: bytes, change: Change | None) -> None:
        """Stale tokens change nothing; what an owner does stays its own."""
        if owner in self.former:
            assert change is None or not change.written
        if change is not None and change.written:
            assert owner == change.record.owner
        self.keep(change)

    @rule(result=st.none() | st.just(StoredResult(200, body=b"operator")))
    def settles(self, result: StoredResult | None) -> None:
        command = settlement(result=result, retention_for=30.0)
        try:
            change = transitions.settle(self.row, command, self.now)
        except SettlementRefused:
            return
        assert b"" == change.record.owner
        self.keep(change)
        self.former |= set(self.owners)

    @precondition(lambda self: self.row is not None)
    @rule()
    def purges(self) -> None:
        assert self.row is not None
        left = transitions.purge(self.row, self.now)
        if left is not None and left != self.row:
            assert left.status in TABLE[self.row.status]
        if left is None:
            assert None in TABLE[self.row.status] or self.row.expires_at
            assert self.row.status not in (Status.IN_PROGRESS, Status.UNKNOWN)
        self.row = left

    @rule(span=spans)
    def time_passes(self, span: float) -> None:
        self.now += span

    # ----------------------------------------------------- what always holds

    @invariant()
    def a_record_in_progress_or_unknown_never_expires(self) -> None:
        if self.row and self.row.status in (Status.IN_PROGRESS, Status.UNKNOWN):
            assert self.row.expires_at is None
            assert self.row == transitions.standing(self.row, self.now + 1e9)

    @invariant()
    def at_most_the_newest_owner_is_told_to_proceed(self) -> None:
        if self.row is None:
            return
        told = [
            owner
            for owner in self.owners
            if isinstance(decide(self.row, PRINT, owner, self.now), Proceed)
        ]
        assert told in ([], [self.owners[-1]])

    @invariant()
    def a_result_stands_with_what_has_been_completed_and_nowhere_else(self) -> None:
        if self.row is not None:
            completed = self.row.status is Status.COMPLETED
            assert completed == (self.row.result is not None)

    @invariant()
    def a_fingerprint_is_kept_as_long_as_it_can_be_compared(self) -> None:
        if self.row is not None:
            forgotten = self.row.status in (Status.RELEASED, Status.TOMBSTONE)
            assert forgotten == (self.row.fingerprint is None)

    @invariant()
    def two_answers_for_one_request_are_the_same(self) -> None:
        if self.row is None:
            return
        answer = decide(self.row, PRINT, b"somebody else", self.now)
        if isinstance(answer, Replay):
            assert self.row.result is not None
            stored = self.given.setdefault(self.key_of_life(), self.row.result)
            assert stored == self.row.result

    def key_of_life(self) -> bytes:
        """One record from its first claim to its end is one life."""
        assert self.row is not None
        return repr((self.row.created_at, self.row.executions)).encode()


TestOneRecord = OneRecord.TestCase
TestOneRecord.settings = settings(max_examples=100, stateful_step_count=40)
