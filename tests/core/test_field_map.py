# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A field map names what differs, stays small, and holds no values."""

from __future__ import annotations

import json

import pytest

from keyonce.core.canonical_json import Tree, read_json
from keyonce.core.field_map import MAX_BYTES, differing_fields, write_field_map

KEY = b"k" * 32


def tree_of(value: object) -> Tree:
    document = read_json(json.dumps(value).encode())
    assert document is not None
    return document.tree


def map_of(value: object) -> bytes:
    return write_field_map(tree_of(value), KEY)


def differing(recorded: object, now: object) -> tuple[str, ...]:
    told = differing_fields(tree_of(now), KEY, map_of(recorded))
    assert told is not None
    return told


ORDER = {
    "sku": "tea",
    "amount": 1200,
    "paid": True,
    "note": None,
    "to": {"name": "Ada", "city": "London"},
    "items": [1, {"a/b": 2}, []],
}


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({}, ()),
        ({"sku": "coffee"}, ("/sku",)),
        ({"amount": 1200.0}, ("/amount",)),
        ({"amount": "1200"}, ("/amount",)),
        ({"paid": False, "note": 0}, ("/note", "/paid")),
        ({"to": {"name": "Ada"}}, ("/to/city",)),
        ({"to": {"name": "Ada", "city": "London", "zip": "1"}}, ("/to/zip",)),
        ({"to": ["Ada", "London"]}, ("/to",)),
        ({"items": [1, {"a/b": 3}, []]}, ("/items/1/a~1b",)),
        ({"items": [1]}, ("/items/1", "/items/2")),
        ({"items": [1, {"a/b": 2}, [], 4]}, ("/items/3",)),
        ({"items": [1, {"a/b": 2}, [0]]}, ("/items/2",)),
        ({"new~": 1}, ("/new~0",)),
    ],
)
def test_changed_added_and_missing_fields_are_named(change, pointers):
    assert pointers == differing(ORDER, ORDER | change)


def test_a_missing_field_is_named():
    assert ("/sku",) == differing(ORDER, {k: ORDER[k] for k in ORDER if k != "sku"})


@pytest.mark.parametrize(("one", "other"), [(1, 2), ([], [1]), ({}, []), (None, {})])
def test_a_difference_at_the_top_is_the_whole_document(one, other):
    assert ("",) == differing(one, other)


def test_the_map_holds_no_values_and_another_key_gives_another_map():
    written = map_of({"card": "4242424242424242"})

    assert b"card" in written
    assert b"4242" not in written
    assert written != write_field_map(tree_of({"card": "4242424242424242"}), b"x" * 32)


def test_a_field_of_ten_letters_takes_fourteen_bytes():
    assert 3 + 10 * 14 == len(map_of({f"field-{n:04}": n for n in range(10)}))


def test_too_many_members_are_one_leaf():
    many = {f"m{n}": n for n in range(65)}

    assert () == differing({"a": 1, "many": many}, {"a": 1, "many": dict(many)})
    assert ("/many",) == differing({"a": 1, "many": many}, {"a": 1, "many": {}})
    assert ("/many",) == differing(
        {"a": 1, "many": many}, {"a": 1, "many": many | {"m3": 0}}
    )
    assert ("/a",) == differing({"a": 1, "many": many}, {"a": 2, "many": many})


def test_what_is_near_the_top_is_named_before_what_is_deep():
    deep = {"x": {f"m{n}": n for n in range(60)}, "y": {str(n): n for n in range(60)}}

    assert ("/x/m1",) == differing(deep, deep | {"x": deep["x"] | {"m1": 0}})
    assert ("/y",) == differing(deep, deep | {"y": deep["y"] | {"1": 0}})


def test_the_depth_of_the_map_is_bounded():
    def nested(leaf: int) -> object:
        value: object = leaf
        for _ in range(40):
            value = {"a": value}
        return value

    assert ("/a" * 8,) == differing(nested(1), nested(2))


@pytest.mark.parametrize(
    "value",
    [
        {"x" * 64: 1},
        {"é" * 63: 1, "b": {"c" * 2000: 1}},
        {f"{n:060}": {f"{m:060}": m for m in range(30)} for n in range(30)},
        [[n] * 63 for n in range(64)],
        {str(n): {} for n in range(500)},
    ],
    ids=lambda value: str(value)[:12],
)
def test_the_map_is_bounded(value):
    written = map_of(value)

    assert len(written) <= MAX_BYTES
    assert () == differing_fields(tree_of(value), KEY, written)


def test_at_most_64_pointers_are_given():
    assert 64 == len(differing({"a": 1}, {str(n): n for n in range(500)}))


@pytest.mark.parametrize("key", [KEY, b"x" * 32])
def test_a_torn_map_names_nothing(key):
    written = map_of(ORDER)

    for end in range(len(written)):
        assert None is differing_fields(tree_of(1), key, written[:end])
    assert None is differing_fields(tree_of(1), key, written + b"\0")


@pytest.mark.parametrize(
    "data",
    [b"", b"\2" + b"\0ab", b"\1\3", b"\1" + b"\2\1" * 9 + b"\0ab", b"\1\1\1\1\xff\0ab"],
)
def test_a_forged_or_newer_map_names_nothing(data):
    assert None is differing_fields(tree_of({"a": 1}), KEY, data)
