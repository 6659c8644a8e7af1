# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Identities that look alike and are not the same."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

from keyonce.core.model import Identity, Query, StoredResult
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
    record_in,
    settlement_of,
)

if TYPE_CHECKING:
    from keyonce.core.protocols import Store

ALIKE: Final = (
    Identity("a", "b", "c"),
    Identity("A", "b", "c"),
    Identity("a", "B", "c"),
    Identity("a", "b", "C"),
    Identity("a", "b", "c "),
    Identity("a", "b", " c"),
    Identity("a ", "b", "c"),
    Identity("a", "b ", "c"),
    Identity("a", "b", "c\t"),
    Identity("ab", "", "c"),
    Identity("", "ab", "c"),
    Identity("a", "", "bc"),
    Identity("a", "bc", ""),
    Identity("a|b", "c", "d"),
    Identity("a", "b|c", "d"),
    Identity("a", "b", "c|d"),
    Identity("a:b", "c", "d"),
    Identity("a", "b:c", "d"),
    Identity("1:a", "1:b", "1:c"),
    Identity("1:a1:b", "1:c", ""),
    Identity("a", "b", "caf\u00e9"),
    Identity("a", "b", "cafe\u0301"),
    Identity("a", "b", "CAF\u00c9"),
    Identity("a", "b", "cafe"),
    Identity("a", "b", "\u017f"),
    Identity("a", "b", "s"),
    Identity("a", "b", "\u212a"),
    Identity("a", "b", "k"),
    Identity("a", "b", "stra\u00dfe"),
    Identity("a", "b", "strasse"),
    Identity("a", "b", "1"),
    Identity("a", "b", "01"),
    Identity("a", "b", "1.0"),
    Identity("a", "b", "1e0"),
    Identity("a", "b", "NULL"),
    Identity("a", "b", "' OR '1'='1"),
    Identity("a", "b", '"; DROP TABLE keyonce_records; --'),
    Identity("a", "b", "%"),
    Identity("a", "b", "_"),
    Identity("a", "b", "{c}"),
    Identity("a", "b", "*"),
    Identity("a", "b", "c\x00"),
    Identity("a", "b", "c\x00d"),
    Identity("a", "b", "k" * 255),
    Identity("a", "b", "k" * 254 + "K"),
    Identity("\U0001f9fe", "POST /\u00fc", "\U0001f511"),
)


class Identities:
    """Scenarios around scope, operation and key."""

    def test_identities_that_look_alike_are_different_keys(self, store: Store) -> None:
        assert all(one != other for one, other in combinations(ALIKE, 2))
        owners = [b"owner-%010d" % number for number in range(len(ALIKE))]

        for identity, owner in zip(ALIKE, owners, strict=True):
            claimed = store.claim(claim_of(identity, owner)).record
            assert owner == claimed.owner, identity
        for identity, owner in zip(ALIKE, owners, strict=True):
            result = StoredResult(200, (), owner, size=len(owner))
            store.complete(completion_of(identity, owner, result=result))

        for identity, owner in zip(ALIKE, owners, strict=True):
            record = record_in(store, identity)
            assert identity == record.identity
            assert record.result is not None
            assert owner == record.result.body
        assert set(ALIKE) == {each.identity for each in store.records(Query())}

    def test_a_scope_sees_nothing_of_another(self, store: Store) -> None:
        other = ORDER._replace(scope="bob")
        done = completed(store)

        assert store.find(other) is None
        mine = store.claim(claim_of(other, SECOND)).record

        assert (mine.owner, mine.executions, mine.result) == (SECOND, 1, None)
        assert done == record_in(store)

    def test_a_scope_does_nothing_to_another(self, store: Store) -> None:
        other = ORDER._replace(scope="bob")
        begun = store.claim(claim_of()).record

        assert store.renew(other, FIRST) is None
        assert store.complete(completion_of(other)) is None
        assert store.release(other, FIRST, "safe", None) is False
        assert store.abandon(other, FIRST, "crashed") is False

        assert begun == record_in(store)
        assert store.find(other) is None

    def test_an_operators_decision_is_for_one_scope(self, store: Store) -> None:
        other = ORDER._replace(scope="bob")
        for identity in (ORDER, other):
            store.claim(claim_of(identity))
            store.abandon(identity, FIRST, "crashed")
        before = record_in(store, other)

        store.settle(settlement_of(ORDER))

        assert before == record_in(store, other)
        assert list(store.audits(other)) == []
