# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes and identities that are large."""

from __future__ import annotations

import pytest

from keyonce.core.errors import StoreError
from keyonce.core.model import Note, StoredResult
from keyonce.core.states import Status
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completion_of,
    record_in,
)

KIB = 1024
BOUND = 320 * KIB


def completed_with(store, result, identity=ORDER):
    store.claim(claim_of(identity, field_map=lambda _: bytes(2048)))
    return store.complete(completion_of(identity, result=result))


def of(size, headers=()):
    return StoredResult(200, headers, b"x" * size, size=size)


def test_the_bound_is_told_beforehand(store):
    assert BOUND == store.traits.largest_result


def test_a_body_of_the_bound_is_kept_with_long_headers_and_a_long_name(store):
    identity = ORDER._replace(operation="POST /" + "p" * 8000, key="k" * 255)
    headers = tuple((b"x-%d" % number, b"v" * 1000) for number in range(32))

    completed_with(store, of(BOUND, headers), identity)

    assert of(BOUND, headers) == record_in(store, identity).result


@pytest.mark.parametrize("size", [399 * KIB, 400 * KIB, 401 * KIB, 17 * KIB * KIB])
def test_a_body_over_the_item_is_an_outcome_that_was_not_kept(store, size):
    done = completed_with(store, of(size, ((b"x", b"y"),)))

    expected = StoredResult(200, ((b"x", b"y"),), kept=False, size=size)
    assert done is not None
    assert (Status.COMPLETED, FIRST, expected) == (done.status, done.owner, done.result)
    assert done == record_in(store)
    assert expected == store.claim(claim_of(owner=SECOND)).record.result


def test_headers_over_the_item_do_not_fail_the_completion_either(store):
    headers = tuple((b"x-%d" % number, b"v" * 60_000) for number in range(8))

    done = completed_with(store, of(5, headers))

    assert done is not None
    assert StoredResult(200, kept=False, size=5) == done.result
    assert done == record_in(store)


def test_names_too_long_for_a_key_stay_different(store):
    long = "/" + "p" * 5000
    one = ORDER._replace(operation=long, key="a")
    other = ORDER._replace(operation=long + "q", key="a")

    first = store.claim(claim_of(one, FIRST)).record
    second = store.claim(claim_of(other, SECOND)).record

    assert (one, FIRST) == (first.identity, first.owner)
    assert (other, SECOND) == (second.identity, second.owner)
    assert first == record_in(store, one)


def test_steps_of_the_bound_leave_room_for_every_end(store):
    identity = ORDER._replace(operation="POST /" + "p" * 8000, key="k" * 255)
    claim = claim_of(identity, field_map=lambda _: bytes(2048))
    store.claim(claim)

    assert store.note(Note(identity, FIRST, bytes(BOUND), "r" * 255))
    assert store.release(identity, FIRST, "safe", 60.0)
    again = store.claim(claim).record
    assert store.abandon(identity, FIRST, "work-limit")
    done = store.complete(completion_of(identity, result=of(5)))

    assert (bytes(BOUND), 2) == (again.steps, again.executions)
    assert (b"", of(5)) == (done.steps, done.result)


@pytest.mark.parametrize("size", [BOUND + 1, 1024 * KIB])
def test_steps_over_the_bound_are_refused_and_harm_nothing(store, size):
    store.claim(claim_of())
    store.note(Note(ORDER, FIRST, b"halfway"))
    before = record_in(store)

    with pytest.raises(StoreError, match=f"Steps of {size} bytes .* at most 400 KB"):
        store.note(Note(ORDER, FIRST, bytes(size), "ch_1"))

    assert before == record_in(store)


def test_steps_that_do_not_fit_beside_a_long_name_are_refused_as_well(store):
    identity = ORDER._replace(operation="POST /" + "p" * 90 * KIB)
    store.claim(claim_of(identity))

    with pytest.raises(StoreError, match="What was noted before is still there"):
        store.note(Note(identity, FIRST, bytes(BOUND)))

    assert b"" == record_in(store, identity).steps
