# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes that are taken away, so that their keys are new ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import SettlementRefused
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import AuditRow, Note, Query, Settlement
from keyonce.core.states import Status
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    OTHER_PAYLOAD,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    pass_lease,
    raises,
    record_in,
)

if TYPE_CHECKING:
    from keyonce.core.model import Identity
    from keyonce.core.protocols import Store
    from keyonce.testing.clock import FakeClock

WHY: Final = "charged in the wrong currency"


def forgetting(identity: Identity = ORDER) -> Settlement:
    """Take the outcome of *identity* away, as an operator."""
    return Settlement(identity, WHY, "olga", forgets=True)


class Forgetting:
    """Scenarios around settling by forgetting."""

    def test_a_forgotten_key_is_a_new_one(self, store: Store, clock: FakeClock) -> None:
        done = completed(store)
        clock.advance(5)

        gone = store.settle(forgetting())

        assert done._replace(result=None) == gone
        assert store.find(ORDER) is None
        assert [] == list(store.records(Query()))
        anew = store.claim(claim_of(owner=SECOND, fingerprint=OTHER_PAYLOAD)).record
        assert (Status.IN_PROGRESS, SECOND, 1, clock()) == (
            anew.status,
            anew.owner,
            anew.executions,
            anew.created_at,
        )
        assert anew == record_in(store)
        again = store.complete(completion_of(owner=SECOND))
        assert again == record_in(store)

    def test_forgetting_leaves_an_audit_row(
        self, store: Store, clock: FakeClock
    ) -> None:
        completed(store)
        clock.advance(1)

        store.settle(forgetting())

        row = AuditRow(clock(), "olga", "forget", ORDER, WHY, "completed")
        assert [row] == list(store.audits(ORDER))

    def test_nothing_is_left_of_what_was_forgotten(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of(guarantee=Guarantee.RESUME))
        store.note(Note(ORDER, FIRST, b"held", "ch_1", number=7))
        store.release(ORDER, FIRST, "raised", HOUR)
        store.settle(forgetting())

        anew = store.claim(claim_of(owner=SECOND)).record

        assert (1, b"", None, clock()) == (
            anew.executions,
            anew.steps,
            anew.reference,
            anew.created_at,
        )
        assert store.note(Note(ORDER, SECOND, b"mine", number=1)) is True
        assert b"mine" == record_in(store).steps

    def test_the_owner_of_what_was_forgotten_changes_nothing(
        self, store: Store
    ) -> None:
        completed(store)
        store.settle(forgetting())

        assert store.complete(completion_of()) is None
        assert store.renew(ORDER, FIRST) is None
        assert store.release(ORDER, FIRST, "safe", None) is False
        assert store.abandon(ORDER, FIRST, "crashed") is False
        assert store.note(Note(ORDER, FIRST, b"late")) is False
        assert store.find(ORDER) is None
        anew = store.claim(claim_of(owner=SECOND)).record
        assert anew == store.complete(completion_of())
        assert anew == record_in(store)

    def test_a_refusal_of_late_retries_can_be_forgotten(
        self, store: Store, clock: FakeClock
    ) -> None:
        completed(store, late_for=24 * HOUR)
        clock.advance(2 * HOUR)
        assert Status.TOMBSTONE is record_in(store).status

        store.settle(forgetting())

        assert store.claim(claim_of(owner=SECOND)).record.owner == SECOND

    def test_what_has_not_ended_is_not_forgotten(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of(named("dead"), guarantee=Guarantee.RESUME))
        pass_lease(clock)
        store.claim(claim_of(named("running")))
        store.claim(claim_of(named("unknown")))
        store.abandon(named("unknown"), FIRST, "crashed")
        before = list(store.records(Query()))

        for key in ("dead", "running", "unknown", "absent"):
            with raises(SettlementRefused):
                store.settle(forgetting(named(key)))

        assert before == list(store.records(Query()))
        assert [] == list(store.audits())

    def test_it_is_forgotten_once(self, store: Store) -> None:
        completed(store)
        store.settle(forgetting())

        with raises(SettlementRefused):
            store.settle(forgetting())

        assert 1 == len(store.audits())

    def test_another_execution_is_not_forgotten(self, store: Store) -> None:
        done = completed(store)

        with raises(SettlementRefused):
            store.settle(replace(forgetting(), execution=2))

        assert done == record_in(store)
        store.settle(replace(forgetting(), execution=1))
        assert store.find(ORDER) is None

    def test_forgetting_one_key_leaves_the_others(self, store: Store) -> None:
        completed(store, named("gone"))
        kept = completed(store, named("kept"))

        store.settle(forgetting(named("gone")))

        assert kept == record_in(store, named("kept"))
        assert ANSWER == record_in(store, named("kept")).result
