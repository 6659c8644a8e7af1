# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes and identities that are large."""

from __future__ import annotations

import pytest

from keyonce.core.model import StoredResult
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
