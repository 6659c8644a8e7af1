# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What operators see and decide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from keyonce.core.errors import SettlementRefused
from keyonce.core.model import AuditRow, Query
from keyonce.core.states import Status
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    HOUR,
    ORDER,
    PAYLOAD,
    SECOND,
    claim_of,
    completed,
    completion_of,
    named,
    pass_lease,
    raises,
    record_in,
    settlement_of,
)

if TYPE_CHECKING:
    from keyonce.core.protocols import Store
    from keyonce.testing.clock import FakeClock


class Operators:
    """Scenarios around settle, records, audits, stats and examine."""

    def test_an_unknown_key_is_released(self, store: Store, clock: FakeClock) -> None:
        self._unknown(store)

        released = store.settle(settlement_of())

        assert (Status.RELEASED, "operator", b"", clock() + HOUR) == (
            released.status,
            released.reason,
            released.owner,
            released.expires_at,
        )
        assert released == record_in(store)
        assert store.claim(claim_of(owner=SECOND)).record.executions == 2

    def test_an_unknown_key_is_resolved(self, store: Store, clock: FakeClock) -> None:
        self._unknown(store)

        resolved = store.settle(settlement_of(result=ANSWER))

        assert (Status.COMPLETED, "operator", b"", ANSWER, clock() + HOUR) == (
            resolved.status,
            resolved.reason,
            resolved.owner,
            resolved.result,
            resolved.expires_at,
        )
        assert resolved == record_in(store)
        assert resolved == store.claim(claim_of(owner=SECOND)).record

    def test_a_decision_for_ever_is_for_ever(self, store: Store) -> None:
        self._unknown(store)

        resolved = store.settle(settlement_of(result=ANSWER, retention_for=None))

        assert resolved.expires_at is None

    def test_after_a_decision_the_late_owner_changes_nothing(
        self, store: Store
    ) -> None:
        self._unknown(store)
        settled = store.settle(settlement_of())

        assert settled == store.complete(completion_of())
        assert store.renew(ORDER, FIRST) is None
        assert store.abandon(ORDER, FIRST, "crashed") is False
        assert store.release(ORDER, FIRST, "safe", None) is False
        assert settled == record_in(store)

    def test_work_whose_lease_has_ended_is_settled(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of())
        pass_lease(clock)

        assert Status.RELEASED is store.settle(settlement_of()).status

    def test_only_unknown_keys_are_settled(self, store: Store) -> None:
        store.claim(claim_of(named("running")))
        completed(store, named("done"))
        store.claim(claim_of(named("free")))
        store.release(named("free"), FIRST, "safe", None)
        before = list(store.records(Query()))

        for key in ("running", "done", "free", "absent"):
            with raises(SettlementRefused):
                store.settle(settlement_of(named(key)))

        assert before == list(store.records(Query()))
        assert list(store.audits()) == []

    def test_an_outcome_is_given_up_in_place_of_exactly_that_one(
        self, store: Store
    ) -> None:
        kept = completed(store, late_for=HOUR).result
        assert kept is not None
        other = replace(kept, status=299)
        for settlement in (settlement_of(), settlement_of(result=ANSWER)):
            with raises(SettlementRefused):
                store.settle(replace(settlement, in_place_of=other))
        assert kept == record_in(store).result

        given_up = replace(settlement_of(result=other), in_place_of=kept)
        resolved = store.settle(given_up)

        assert (Status.COMPLETED, b"") == (resolved.status, resolved.owner)
        assert (other, PAYLOAD) == (resolved.result, resolved.fingerprint)
        assert resolved == record_in(store)
        with raises(SettlementRefused):
            store.settle(given_up)

        released = store.settle(replace(settlement_of(), in_place_of=other))

        assert (Status.RELEASED, None) == (released.status, released.result)
        assert released == record_in(store)
        again = store.claim(claim_of(owner=SECOND)).record
        assert (SECOND, 2) == (again.owner, again.executions)
        assert ["completed"] * 2 == [row.before for row in store.audits(ORDER)]

    def test_a_key_is_settled_once(self, store: Store) -> None:
        self._unknown(store)
        store.settle(settlement_of())

        with raises(SettlementRefused):
            store.settle(settlement_of(result=ANSWER))

        assert Status.RELEASED is record_in(store).status
        assert len(store.audits()) == 1

    def test_a_decision_about_an_earlier_execution_is_refused(
        self, store: Store
    ) -> None:
        self._unknown(store)
        store.settle(settlement_of())
        store.claim(claim_of(owner=SECOND))
        store.abandon(ORDER, SECOND, "crashed")
        before = record_in(store)

        with raises(SettlementRefused):
            store.settle(replace(settlement_of(), execution=1))

        assert before == record_in(store)
        assert len(store.audits()) == 1
        released = store.settle(replace(settlement_of(), execution=2))
        assert Status.RELEASED is released.status

    def test_decisions_are_written_down_newest_first(
        self, store: Store, clock: FakeClock
    ) -> None:
        self._unknown(store, "a")
        store.settle(settlement_of(named("a")))
        clock.advance(1)
        store.claim(claim_of(named("b")))
        pass_lease(clock)
        store.settle(settlement_of(named("b"), result=ANSWER))

        rows = list(store.audits())

        reason = "asked the bank"
        newest = AuditRow(clock(), "olga", "resolve", named("b"), reason, "in_progress")
        older = AuditRow(
            newest.at - 41, "olga", "release", named("a"), reason, "unknown"
        )
        assert [newest, older] == rows
        assert [older] == list(store.audits(named("a")))

    def test_the_audit_outlives_the_record(
        self, store: Store, clock: FakeClock
    ) -> None:
        self._unknown(store)
        store.settle(settlement_of())
        clock.advance(2 * HOUR)
        store.purge()

        assert store.find(ORDER) is None
        assert len(store.audits(ORDER)) == 1

    def test_listings_are_ordered_and_without_outcomes(self, store: Store) -> None:
        identities = [
            ORDER._replace(scope=scope, key=key)
            for scope in ("bob", "alice", "Carol")
            for key in ("2", "10", "1")
        ]
        for identity in identities:
            completed(store, identity)

        listed = store.records(Query())

        assert sorted(identities) == [each.identity for each in listed]
        assert {None} == {each.result for each in listed}
        assert {Status.COMPLETED} == {each.status for each in listed}

    def test_listings_go_on_where_they_stopped(self, store: Store) -> None:
        keys = [f"{number:03}" for number in range(25)]
        for key in keys:
            store.claim(claim_of(named(key)))

        seen: list[str] = []
        page = store.records(Query(limit=10))
        while page:
            seen += [each.identity.key for each in page]
            page = store.records(Query(limit=10, after=page[-1].identity))

        assert keys == seen

    def test_listings_are_narrowed(self, store: Store) -> None:
        for scope, operation, key in (
            ("alice", "POST /a", "1"),
            ("alice", "POST /b", "1"),
            ("bob", "POST /a", "1"),
            ("bob", "POST /a", "2"),
        ):
            store.claim(
                claim_of(ORDER._replace(scope=scope, operation=operation, key=key))
            )

        def count(query: Query) -> int:
            return len(store.records(query))

        assert count(Query(scope="alice")) == 2
        assert count(Query(operation="POST /a")) == 3
        assert count(Query(key="1")) == 3
        assert count(Query(scope="bob", key="2")) == 1
        assert count(Query(scope="bob", operation="POST /b")) == 0
        assert count(Query(limit=3)) == 3

    def test_listings_are_narrowed_by_what_a_retry_would_meet(
        self, store: Store, clock: FakeClock
    ) -> None:
        store.claim(claim_of(named("dead")))
        completed(store, named("gone"))
        completed(store, named("late"), late_for=24 * HOUR)
        clock.advance(2 * HOUR)
        store.claim(claim_of(named("alive")))
        store.claim(claim_of(named("free")))
        store.release(named("free"), FIRST, "safe", None)
        completed(store, named("done"))
        self._unknown(store, "lost")

        found = {
            status: [each.identity.key for each in store.records(Query(status=status))]
            for status in Status
        }

        assert found == {
            Status.IN_PROGRESS: ["alive"],
            Status.COMPLETED: ["done"],
            Status.UNKNOWN: ["dead", "lost"],
            Status.RELEASED: ["free"],
            Status.TOMBSTONE: ["late"],
        }
        everything = [each.identity.key for each in store.records(Query())]
        assert everything == ["alive", "dead", "done", "free", "late", "lost"]

    def test_records_are_counted(self, store: Store, clock: FakeClock) -> None:
        first = clock()
        completed(store, named("1"))
        store.claim(claim_of(named("dead")))
        clock.advance(100)
        completed(store, named("2"))
        store.claim(claim_of(named("3")))
        self._unknown(store, "4")
        now = clock.advance(1)

        stats = store.stats()

        assert stats.counts == {
            Status.COMPLETED: 2,
            Status.IN_PROGRESS: 1,
            Status.UNKNOWN: 2,
        }
        assert {
            Status.COMPLETED: first,
            Status.IN_PROGRESS: first + 100,
            Status.UNKNOWN: first,
        } == stats.oldest
        assert now == stats.now
        assert stats.stored_bytes is None or stats.stored_bytes > 0
        parts = (stats.record_bytes, stats.outcome_bytes, stats.index_bytes)
        if parts != (None, None, None):
            assert sum(part or 0 for part in parts) == stats.stored_bytes

    def test_an_empty_store_counts_nothing(self, store: Store) -> None:
        assert store.stats().counts == {}
        assert list(store.records(Query())) == []
        assert list(store.audits()) == []
        assert store.purge() == 0

    def test_the_store_says_what_it_looked_at(self, store: Store) -> None:
        findings = store.examine()

        assert findings
        assert {each.level for each in findings} <= {"ok", "warning", "error"}
        assert all(each.subject and each.detail for each in findings)
        assert all(each.mend for each in findings if each.level == "error")

    def test_the_store_says_what_it_promises(self, store: Store) -> None:
        assert store.traits.name
        assert store.traits.guarantees

    def test_closing_twice_is_fine(self, store: Store) -> None:
        store.claim(claim_of())

        store.close()
        store.close()

    def _unknown(self, store: Store, key: str = ORDER.key) -> None:
        store.claim(claim_of(named(key)))
        store.abandon(named(key), FIRST, "crashed")
