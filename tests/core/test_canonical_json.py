# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Which JSON bodies are one, which are two, and which have no form."""

from __future__ import annotations

import sys

import pytest

from keyonce.core.canonical_json import (
    MAX_DEPTH,
    MAX_NUMBER,
    escape_name,
    parse_pointer,
    read_json,
)


def form(body: bytes | str, *exclude: str) -> bytes | None:
    raw = body if isinstance(body, bytes) else body.encode()
    document = read_json(raw, tuple(map(parse_pointer, exclude)))
    return None if document is None else document.canonical()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1,"b":2}', '{"b":2,"a":1}'),
        ('{"a":1}', ' {\t"a" :\r\n 1 } \n'),
        ('{"a":{"b":1,"c":2}}', '{"a":{"c":2,"b":1}}'),
        (r'"\u00e9"', '"é"'),
        (r'"\/"', '"/"'),
        (r'"\u0041\n"', r'"A\u000a"'),
        (r'"\ud83d\ude00"', '"😀"'),
        (r'{"\u0061":1}', '{"a":1}'),
    ],
)
def test_writing_does_not_matter(one, other):
    assert form(one) is not None
    assert form(one) == form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1.0", "1.00"),
        ("1", "1e0"),
        ("1e5", "1E5"),
        ("0", "-0"),
        ("1", '"1"'),
        ("1", r'"\ud834\udd1e1"'),
        ("null", '"null"'),
        ("true", "1"),
        ("false", "0"),
        ("[]", "{}"),
        ("[1,2]", "[2,1]"),
        ('{"a":null}', "{}"),
        ('{"a":1}', '{"A":1}'),
        ('"é"', '"e\u0301"'),
        ("9007199254740993", "9007199254740992"),
        ('["a,b"]', '["a","b"]'),
    ],
)
def test_values_matter(one, other):
    assert form(one) is not None
    assert form(other) is not None
    assert form(one) != form(other)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b'{"a":1,"a":1}',
        b'[{"a":{"b":1,"b":2}}]',
        rb'{"a":1,"\u0061":2}',
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        rb'"\ud800"',
        rb'"\uD800"',
        rb'"\udc00"',
        rb'"\ude00\ud83d"',
        rb'{"\udead":1}',
        rb'["\ud8001"]',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-16-le"),
        b"{} {}",
        b"[1,]",
        b"01",
        b"'a'",
        b'"a\nb"',
        b"[" + b"1" * (MAX_NUMBER + 1) + b"]",
        b"0." + b"1" * MAX_NUMBER,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b"[" * 200_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_readers_may_take_differently_has_no_form(body):
    assert form(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b"1" * MAX_NUMBER,
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b'{"a":[' * (MAX_DEPTH // 2) + b"]}" * (MAX_DEPTH // 2),
        b"[" + b"[],{}," * 500 + b"0]",
        b'["' + b"[" * 500 + rb"\"" + b"[" * 500 + b'"]',
        rb'"\\ud800"',
    ],
    ids=lambda body: repr(body[:20]),
)
def test_just_inside_the_limits_there_is_a_form(body):
    assert form(body) is not None


def test_the_depth_does_not_depend_on_the_interpreter():
    deepest = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH

    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(100_000)
        assert form(deepest) is not None
        assert form(b"[" + deepest + b"]") is None
    finally:
        sys.setrecursionlimit(before)


def test_an_excluded_member_was_never_there():
    body = '{"a":1,"sent_at":"10:00","meta":{"trace":"x","b":2}}'
    less = form(body, "/sent_at", "/meta/trace")

    assert form('{"a":1,"meta":{"b":2}}') == less
    assert form('{"a":1,"meta":{"trace":"y","b":2}}', "/sent_at", "/meta/trace") == less


def test_an_excluded_item_keeps_its_place():
    assert form('["x",2]', "/0") == form('["y",2]', "/0")
    assert form('["x",2]', "/0") != form("[2]", "/0")
    assert form('["x",2]', "/0") != form("[2,2]", "/1")


@pytest.mark.parametrize(
    "pointer",
    ["/none", "/a/none", "/a/b/c", "/list/2", "/list/-", "/list/00", "/list/x"],
)
def test_excluding_what_is_not_there_changes_nothing(pointer):
    body = '{"a":{"b":"text"},"list":[1,2]}'

    assert form(body) == form(body, pointer)


@pytest.mark.parametrize(
    ("pointer", "names"),
    [
        ("/a/b", ("a", "b")),
        ("/", ("",)),
        ("/a//b", ("a", "", "b")),
        ("/m~1n/~0/~01", ("m/n", "~", "~1")),
        ("", ()),
    ],
)
def test_pointers_are_read_as_rfc_6901_says(pointer, names):
    assert names == parse_pointer(pointer)
    assert pointer == "".join("/" + escape_name(name) for name in names)


@pytest.mark.parametrize("pointer", ["a", "/~", "/~2", "/a~", "#/a"])
def test_what_is_no_pointer_is_refused(pointer):
    with pytest.raises(ValueError):
        parse_pointer(pointer)
