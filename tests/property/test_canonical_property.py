# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Two bodies have one form exactly when they mean one thing."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import quote_plus

from hypothesis import assume, given
from hypothesis import strategies as st

from keyonce.core.canonical_form import canonical_form
from keyonce.core.canonical_json import read_json
from keyonce.core.canonical_multipart import digest_parts
from keyonce.core.field_map import MAX_BYTES, differing_fields, write_field_map

KEY = b"k" * 32


class Token(str):
    """A number as it is written."""

    __slots__ = ()


numbers = st.from_regex(
    r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,2})?([eE][+-]?[0-9])?", fullmatch=True
).map(Token)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
leaves = numbers | texts | st.booleans() | st.none()
documents = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
    ),
    max_leaves=15,
)
few = st.sampled_from(["", "a", "1"])
small_documents = st.recursive(
    st.sampled_from([Token("1"), Token("1.0"), "1", "", True, None]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(few, inner, max_size=2),
    max_leaves=3,
)


def gap(chance: random.Random) -> str:
    return "".join(chance.choices(" \t\r\n", k=chance.randrange(3)))


def escaped(text: str, chance: random.Random) -> str:
    if chance.random() < 0.3:
        units = text.encode("utf-16-be")
        pairs = [units[at : at + 2].hex() for at in range(0, len(units), 2)]
        return '"' + "".join(rf"\u{pair}" for pair in pairs) + '"'
    return json.dumps(text, ensure_ascii=chance.random() < 0.5)


def written(value: Any, chance: random.Random) -> str:
    """Write *value* as JSON in one of the many ways."""
    match value:
        case Token():
            text = str(value)
        case str():
            text = escaped(value, chance)
        case dict():
            members = [
                gap(chance)
                + escaped(k, chance)
                + gap(chance)
                + ":"
                + written(v, chance)
                for k, v in value.items()
            ]
            chance.shuffle(members)
            text = "{" + ",".join(members) + gap(chance) + "}"
        case list():
            text = "[" + ",".join(written(v, chance) for v in value) + gap(chance) + "]"
        case _:
            text = json.dumps(value)
    return gap(chance) + text + gap(chance)


def meaning(value: Any) -> Any:
    """A value that is equal exactly when the document is: types and all."""
    match value:
        case Token():
            return ("number", str(value))
        case dict():
            return {key: meaning(member) for key, member in value.items()}
        case list():
            return [meaning(item) for item in value]
        case _:
            return (type(value).__name__, value)


@given(documents, st.randoms(use_true_random=False))
def test_every_way_of_writing_has_one_form(value, chance):
    one = read_json(written(value, chance).encode())
    other = read_json(written(value, chance).encode())

    assert one is not None
    assert other is not None
    assert one.canonical() == other.canonical()


@given(small_documents, small_documents, st.randoms(use_true_random=False))
def test_two_documents_have_one_form_only_if_they_are_equal(one, other, chance):
    forms = []
    for value in (one, other):
        document = read_json(written(value, chance).encode())
        assert document is not None
        forms.append(document.canonical())

    assert (meaning(one) == meaning(other)) is (forms[0] == forms[1])


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(lambda t: t.encode("utf-8", "surrogatepass"))
)
def test_no_bytes_break_the_reader(body):
    document = read_json(body)

    if document is not None:
        assert document.canonical().isascii()


@given(documents, documents, st.randoms(use_true_random=False))
def test_a_field_map_is_bounded_and_sees_every_difference(one, other, chance):
    trees = []
    for value in (one, other):
        document = read_json(written(value, chance).encode())
        assert document is not None
        trees.append(document.tree)

    recorded = write_field_map(trees[0], KEY)

    assert len(recorded) <= MAX_BYTES
    assert () == differing_fields(trees[0], KEY, recorded)
    # Two bytes may agree by chance; hypothesis finds no such pair in a few tries.
    if meaning(one) != meaning(other):
        assert differing_fields(trees[1], KEY, recorded)


@given(documents, st.binary(max_size=40), st.integers(0, 60), st.integers(0, 60))
def test_no_bytes_break_the_comparison(value, junk, start, end):
    document = read_json(written(value, random.Random(0)).encode())
    assert document is not None
    recorded = write_field_map(document.tree, KEY)
    mutated = recorded[:start] + junk + recorded[end:]

    for pointer in differing_fields(document.tree, KEY, mutated) or ():
        assert pointer == "" or pointer.startswith("/")


fields = st.lists(
    st.tuples(st.binary(max_size=3), st.binary(max_size=3)), min_size=1, max_size=6
)


def form_body(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return "&".join(f"{quote_plus(n)}={quote_plus(v)}" for n, v in pairs).encode()


def by_name(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, list[tuple[bytes, bytes]]]:
    groups: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for name, value in pairs:
        groups.setdefault(name.split(b"[")[0], []).append((name, value))
    return groups


@given(fields, fields, st.randoms(use_true_random=False))
def test_two_forms_have_one_form_only_if_their_fields_are_equal(one, other, chance):
    for pairs in (other, chance.sample(one, len(one))):
        forms = canonical_form(form_body(one)), canonical_form(form_body(pairs))
        assert None not in forms
        assert (by_name(one) == by_name(pairs)) is (forms[0] == forms[1])


@given(st.binary(max_size=40))
def test_no_bytes_break_the_form_reader(body):
    canonical_form(body)


parts = st.lists(
    st.tuples(
        st.lists(
            st.tuples(
                st.sampled_from([b"A", b"Content-Type"]),
                st.sampled_from([b"", b"x", b"y; z"]),
            ),
            max_size=2,
        ),
        st.binary(max_size=8)
        | st.sampled_from([b"\r\n", b"--", b"\r\n--", b"-", b"\r\n\r\n"]),
    ),
    max_size=3,
)


def multipart_body(items: Any, boundary: bytes) -> bytes:
    body = b""
    for headers, content in items:
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        body += b"--%b\r\n%b\r\n%b\r\n" % (boundary, head, content)
    return body + b"--%b--\r\n" % boundary


@given(parts, parts, st.integers(1, 30))
def test_two_multiparts_have_one_form_only_if_their_parts_are_equal(one, other, size):
    bodies = multipart_body(one, b"first"), multipart_body(other, b"second")
    assume(b"--first" not in b"".join(content for _, content in one))
    assume(b"--second" not in b"".join(content for _, content in other))
    pieces = [bodies[1][at : at + size] for at in range(0, len(bodies[1]), size)]

    left = digest_parts(b"multipart/form-data; boundary=first", [bodies[0]])
    right = digest_parts(b'multipart/form-data; boundary="second"', pieces)

    assert left is not None
    assert right is not None
    assert (one == other) is (left == right)


@given(parts, st.binary(max_size=6), st.integers(0, 80), st.integers(0, 80))
def test_no_bytes_break_the_multipart_reader(items, junk, start, end):
    body = multipart_body(items, b"B")
    mutated = body[:start] + junk + body[end:]
    pieces = [mutated[at : at + 3] for at in range(0, len(mutated), 3)]

    assert digest_parts(b"multipart/form-data; boundary=B", [mutated]) == digest_parts(
        b"multipart/form-data; boundary=B", pieces
    )
