# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.model import Identity
from keyonce.core.policy import ForwardKey
from keyonce.proxy.forward import derived_key, with_forwarded_key

HEADERS = ((b"a", b"1"), (b"idempotency-key", b"k"), (b"b", b"2"))
MINE = Identity("mary", "POST /orders", "k")


def test_a_derived_key_never_changes():
    # Written down: another release must derive the same for live keys.
    assert "c3968fa6-e628-8387-8ee0-8349b41f22b3" == derived_key(MINE)


def test_a_derived_key_is_a_uuid():
    assert 8 == UUID(derived_key(MINE)).version


@given(
    st.tuples(st.text(), st.text(), st.text()),
    st.tuples(st.text(), st.text(), st.text()),
)
def test_no_two_identities_derive_one_key(left, right):
    same = derived_key(Identity(*left)) == derived_key(Identity(*right))

    assert (left == right) is same


def test_where_the_parts_are_cut_counts():
    assert derived_key(Identity("a", "b", "c")) != derived_key(Identity("ab", "", "c"))


def test_forwarded_as_it_came():
    assert HEADERS == with_forwarded_key(
        HEADERS, MINE, ForwardKey.FORWARD, header=b"idempotency-key"
    )


def test_stripped():
    assert (HEADERS[0], HEADERS[2]) == with_forwarded_key(
        HEADERS, MINE, ForwardKey.STRIP, header=b"idempotency-key"
    )


def test_derived_in_its_place():
    quoted = f'"{derived_key(MINE)}"'.encode()

    assert (HEADERS[0], (b"idempotency-key", quoted), HEADERS[2]) == with_forwarded_key(
        HEADERS, MINE, ForwardKey.DERIVE, header=b"idempotency-key"
    )
