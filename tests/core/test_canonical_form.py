# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which form bodies are one, which are two, and which have no form."""

from __future__ import annotations

import pytest

from keyonce.core.canonical_form import canonical_form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"a=1&b=2", b"b=2&a=1"),
        (b"a=%41", b"a=A"),
        (b"a=%e9", b"a=%E9"),
        (b"a=1+2", b"a=1%202"),
        (b"%61=1", b"a=1"),
        (b"a=1&b=2&a=3", b"a=1&a=3&b=2"),
        (b"a=x=y", b"a=x%3Dy"),
        (b"items[]=1&b=2&items[]=3", b"b=2&items%5B%5D=1&items[]=3"),
    ],
)
def test_writing_does_not_matter(one, other):
    assert canonical_form(one) is not None
    assert canonical_form(one) == canonical_form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"a=1&a=2", b"a=2&a=1"),
        (b"a=1&b=2", b"a=2&b=1"),
        (b"a=1%26b=2", b"a=1&b=2"),
        (b"a%3D1=2", b"a=1=2"),
        (b"a", b"a="),
        (b"", b"="),
        (b"a=1", b"a=1&"),
        (b"a=1+2", b"a=1%2B2"),
        (b"a=1:b", b"a=1&b"),
        (
            b"items[][sku]=a&items[][price]=1&items[][sku]=b",
            b"items[][sku]=a&items[][sku]=b&items[][price]=1",
        ),
    ],
)
def test_values_and_the_order_of_one_name_matter(one, other):
    assert canonical_form(one) is not None
    assert canonical_form(other) is not None
    assert canonical_form(one) != canonical_form(other)


@pytest.mark.parametrize("body", [b"a=%", b"a=%4", b"a=%zz", b"%=1", b"a=1;b=2"])
def test_what_readers_may_take_differently_has_no_form(body):
    assert canonical_form(body) is None
