# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A record as an item and back, and what cannot be read."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.errors import RecordUnreadable
from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Fingerprint, Identity, Query, Record, StoredResult
from keyonce.core.states import Status
from keyonce.stores.dynamodb.items import item_of, key_of, name_of, record_of
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completed,
    named,
    record_in,
    settlement_of,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
near = st.text(string.digits + ":ab", max_size=8)  # looks like our own marks
identities = st.builds(Identity, near | texts, near | texts, near | texts)
instants = st.floats(0, 4e9, allow_nan=False)
maybe = st.none() | instants
records = st.builds(
    Record,
    identity=identities,
    status=st.sampled_from(sorted(set(Status) - {Status.COMPLETED})),
    guarantee=st.sampled_from(Guarantee),
    owner=st.binary(max_size=16),
    executions=st.integers(1, 10**9),
    created_at=instants,
    claimed_at=instants,
    lease_for=instants,
    crashes=st.integers(0, 100),
    lease_until=instants,
    fingerprint=st.none() | st.builds(Fingerprint, texts, st.binary(max_size=64)),
    fields=st.binary(max_size=64),
    ended_at=maybe,
    expires_at=maybe,
    late_until=maybe,
    reference=st.none() | texts,
    reason=st.none() | texts,
)


@given(records)
def test_what_was_written_is_read(record):
    assert record == record_of(record.identity, item_of(record))


@given(records, st.binary(max_size=64))
def test_a_completed_record_comes_back_with_its_outcome(record, body):
    result = StoredResult(200, ((b"x", b"y"),), body, size=len(body))
    done = record._replace(status=Status.COMPLETED, result=result)

    assert done == record_of(done.identity, item_of(done))


@given(identities, identities)
def test_two_identities_have_two_names(one, other):
    assert (one == other) is (name_of(one) == name_of(other))


def test_a_long_name_fits_a_key_of_dynamodb():
    for length in (300, 340, 341, 500, 100_000):
        key = key_of(Identity("\u20ac" * length, "b", "c"))

        assert len(key["id"]["S"].encode()) <= 2048


@pytest.fixture
def damage(client, table, store):
    """Take an attribute of a completed record away, or put something else there."""

    def carry_out(name, value=None):
        completed(store)
        names, key = {"#it": name}, key_of(ORDER)
        change = {"TableName": table, "Key": key, "ExpressionAttributeNames": names}
        if value is None:
            client.update_item(UpdateExpression="REMOVE #it", **change)
        else:
            client.update_item(
                UpdateExpression="SET #it = :it",
                ExpressionAttributeValues={":it": value},
                **change,
            )

    return carry_out


DAMAGES = [
    ("status", None),
    ("status", {"N": "77"}),
    ("status", {"S": "done"}),
    ("guarantee", {"S": "thrice"}),
    ("executions", {"N": "1.5"}),
    ("result", None),
    ("result", {"B": b"torn"}),
    ("result", {"S": "text"}),
    ("digest", None),
    ("scope", {"S": "bob"}),
    ("created_at", {"B": b"now"}),
]


@pytest.mark.parametrize(("name", "value"), DAMAGES)
def test_what_cannot_be_read_is_told_and_nothing_runs(store, damage, name, value):
    damage(name, value)

    with pytest.raises(RecordUnreadable, match=r"Nothing was run|torn"):
        store.find(ORDER)
    with pytest.raises(RecordUnreadable):
        store.claim(claim_of(owner=SECOND))


@pytest.mark.parametrize(("name", "value"), DAMAGES)
def test_an_operator_settles_what_cannot_be_read(store, damage, name, value):
    damage(name, value)

    store.settle(settlement_of())

    assert Status.RELEASED is record_in(store).status
    assert ORDER == store.audits()[0].identity


def test_a_listing_shows_what_cannot_be_read_as_unknown(store, damage):
    damage("guarantee", {"S": "thrice"})
    completed(store, named("whole"))

    listed = {each.identity: each for each in store.records(Query())}

    assert (Status.UNKNOWN, "unreadable") == (
        listed[ORDER].status,
        listed[ORDER].reason,
    )
    assert Status.COMPLETED is listed[named("whole")].status
    assert {Status.UNKNOWN: 1, Status.COMPLETED: 1} == store.stats().counts


def test_purging_leaves_what_cannot_be_read(store, clock, damage):
    damage("guarantee", {"S": "thrice"})
    clock.advance(10 * 3600)

    assert 0 == store.purge()
    assert 1 == len(store.records(Query()))


def test_the_identity_stands_in_the_item_in_plain_words(store, client, table):
    store.claim(claim_of())

    (item,) = client.scan(TableName=table)["Items"]

    plain = [item[name]["S"] for name in ("scope", "operation", "key")]
    assert list(ORDER) == plain
    assert FIRST == item["owner"]["B"]
    assert ANSWER.body not in str(item).encode()
