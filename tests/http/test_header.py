# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The key: what is one, what is none, and which one is badly made."""

from __future__ import annotations

import uuid

import pytest

from keyonce.core.policy import KeyFormat
from keyonce.http.header import MAX_KEY, BadKey, parse_key, weakness

UUID = "8e03978e-40d5-43e8-bc93-6894a57f9324"


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"abc", "abc"),
        (b'"abc"', "abc"),
        (b' "abc" ', "abc"),
        (b"\tabc ", "abc"),
        (UUID.encode(), UUID),
        (f'"{UUID}"'.encode(), UUID),
        (b"order:17/a;b=c", "order:17/a;b=c"),
        (b"'abc'", "'abc'"),
        (b"a\\b", "a\\b"),
        (b'"a b, c"', "a b, c"),
        (rb'"a\"b\\c"', 'a"b\\c'),
        (b'" "', " "),
        (b'"abc";v=1', "abc"),
        (b'"abc" ', "abc"),
        (b'"abc"; a; *b=?1;c="x;y";d=:YQ==:;e=tok/en;f=-1.5;g=@17;h=%"%c3%a9"', "abc"),
        (b"a" * MAX_KEY, "a" * MAX_KEY),
        (b'"' + b"a" * MAX_KEY + b'";x', "a" * MAX_KEY),
        (b'"' + b'\\"' * MAX_KEY + b'"', '"' * MAX_KEY),
    ],
)
def test_bare_and_quoted_are_one_key(value, key):
    assert key == parse_key([value])


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b"abc", b"abc"],
        [b"abc", b""],
        [b""],
        [b" \t"],
        [b'""'],
        [b'"";a=1'],
        [b"a b"],
        [b"a,b"],
        [b"a, b"],
        [b"abc,"],
        [b'a"b'],
        [b'abc"'],
        [b"a\tb"],
        [b"a\r\nb"],
        [b"a\n"],
        [b"a\0"],
        [b"a\x7f"],
        [b"\xc3\xa9"],
        [b"\xff"],
        [b'"'],
        [b'"abc'],
        [b'"abc"x'],
        [b'"abc" ;a'],
        [b'"a"b"'],
        [b'"a","b"'],
        [b'"a", "b"'],
        [rb'"a\b"'],
        [b'"a\\"'],
        [b'"a\tb"'],
        [b'"a\nb"'],
        [b'"a"\n'],
        [b'"\xc3\xa9"'],
        [b'"abc";'],
        [b'"abc";A'],
        [b'"abc";a='],
        [b'"abc";a=:=:'],
        [b'"abc";a=?2'],
        [b'"abc";a=1.'],
        [b'"abc";a=1.2345'],
        [b'"abc";a=1234567890123456'],
        [b'"abc";a="x'],
        [b'"abc";a=(1)'],
        [b"a" * (MAX_KEY + 1)],
        [b'"' + b"a" * (MAX_KEY + 1) + b'"'],
        [b"a" * 1_000_000],
    ],
    ids=lambda values: repr(values)[:24],
)
def test_what_is_no_key_is_refused(values):
    assert isinstance(parse_key(values), BadKey)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (b"", "empty"),
        (b'""', "empty"),
        (b"a" * 300, "255"),
        (b'"' + b"a" * 300 + b'"', "255"),
        (b"a,b", "comma"),
        (b"a\x01b", "control"),
        (b"\xc3\xa9", "ASCII"),
        (b'"\xc3\xa9"', "ASCII"),
        (b'"a', "double quote"),
    ],
)
def test_the_fault_is_told_with_what_to_do(value, word):
    told = parse_key([value])

    assert isinstance(told, BadKey)
    assert word in told.detail
    assert told.detail.count(". ") >= 1
    assert told.detail.endswith(".")


def test_a_fault_never_echoes_the_key():
    for value in (b"sesame,", b'"sesame', b"sesame\0", b"sesame" * 50):
        told = parse_key([value])
        assert isinstance(told, BadKey)
        assert "sesame" not in told.detail


def test_quoted_only_takes_no_bare_key():
    assert "abc" == parse_key([b'"abc"'], KeyFormat.QUOTED)
    assert isinstance(parse_key([b"abc"], KeyFormat.QUOTED), BadKey)


@pytest.mark.parametrize(
    ("key", "good"),
    [
        (UUID, True),
        (UUID.upper(), True),
        (UUID.replace("-", ""), False),
        ("{" + UUID + "}", False),
        (UUID + "0", False),
        (UUID[:-1] + "g", False),
        ("abc", False),
    ],
)
def test_uuid_only_takes_nothing_else(key, good):
    for value in (key, f'"{key}"'):
        told = parse_key([value.encode()], KeyFormat.UUID)
        assert (key if good else None) == (told if isinstance(told, str) else None)


@pytest.mark.parametrize(
    ("key", "weak"),
    [
        ("1", "numeric"),
        ("20261122", "numeric"),
        ("a", "short"),
        ("abc-1", "short"),
        ("order-17", "sequential"),
        ("payment_000123", "sequential"),
        ("request42", "sequential"),
        ("checkout:cart/7", "sequential"),
        ("00000000-0000-0000-0000-000000000000", "repetitive"),
        ("aaaaaaaaaaaa", "repetitive"),
        (UUID, None),
        (f"{UUID}-1", None),
        ("01JD9ZP3X8Q4M7R2K5T6V9W0BC", None),
        ("V1StGXR8_Z5jdHi6B-myT", None),
        ("3f9a1c7e5b2d48609e1f7a3c5d8b2e4f", None),
        ("order-2026-11-22-17", None),
        ("checkout-4711-refund", None),
    ],
)
def test_a_badly_made_key_is_told_from_a_good_one(key, weak):
    assert weak == weakness(key)


def test_random_keys_are_not_called_weak():
    assert {None} == {weakness(str(uuid.uuid4())) for _ in range(1000)}
