# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The quoted form is read as http-sf, an independent RFC 9651 parser, reads it."""

from __future__ import annotations

import http_sf
from hypothesis import assume, example, given
from hypothesis import strategies as st

from keyonce.core.policy import KeyFormat
from keyonce.http.header import MAX_KEY, BadKey, parse_key, weakness

visible = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
bare_items = st.sampled_from(
    [
        "1",
        "-1.5",
        "1.",
        "?0",
        "?",
        "tok",
        "*t:/",
        ":YQ==:",
        ":YQ:",
        ":=:",
        ":Y:",
        "::",
        "@1",
        "@-5",
        "@1.5",
        '"q"',
        '"',
        '%"a"',
        '%"%c3%a9"',
        '%"%C3"',
        "(",
        "",
        "A b",
        "123456789012345",
        "1234567890123456",
        "123456789012.123",
        "1234567890123.1",
        ":YQ===:",
        ":YWI=:",
        ":YWJj:",
        ":YWJjZ:",
        ":YWJjZA:",
        ":YWJjZGU=:",
        ":Y=Q:",
    ]
)
parameters = st.lists(
    st.tuples(
        st.sampled_from([";", "; ", ";  ", " ;", ";\t", ""]),
        st.sampled_from(["a", "*b", "A", "a1_-.*", "1", ""]),
        st.just("") | bare_items.map("={}".format),
    ).map("".join),
    max_size=2,
).map("".join)
strings = st.text(visible | st.sampled_from('\\"'), max_size=10).map(
    lambda text: f'"{text}"'
)
escaped = st.text(visible, max_size=10).map(
    lambda text: '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'
)
lines = st.builds(
    lambda value, rest, end: (value + rest + end).encode("latin-1"),
    strings | escaped,
    parameters | st.text(visible, max_size=6),
    st.sampled_from(["", " ", ",", '"']),
)


def by_http_sf(value: bytes) -> str | None:
    """The key as http-sf reads it; None where it refuses or finds no string."""
    try:
        parsed = http_sf.parse(value, tltype="item")
    except (ValueError, OverflowError):
        return None
    item = parsed[0] if isinstance(parsed, tuple) else None
    return item if type(item) is str and 0 < len(item) <= MAX_KEY else None


@given(lines)
@example(b'"' + b"a" * 255 + b'"')
@example(b'"' + b"a" * 256 + b'"')
@example(rb'"\"";a="\\"')
def test_quoted_keys_are_read_as_http_sf_reads_them(value):
    ours = parse_key([value])

    assert by_http_sf(value) == (None if isinstance(ours, BadKey) else ours)


@given(st.binary(max_size=12) | st.text(visible, max_size=300).map(str.encode))
def test_any_bytes_are_a_good_key_or_a_bad_one(value):
    told = parse_key([value])

    if isinstance(told, str):
        assert 0 < len(told) <= MAX_KEY
        assert told.isascii()
        assert told.isprintable()
        assert weakness(told) in {None, "numeric", "short", "sequential", "repetitive"}


@given(st.text(visible, min_size=1, max_size=255))
def test_a_bare_key_is_the_quoted_one(key):
    assume(not set(key) & set(' ,"'))
    quoted = '"' + key.replace("\\", r"\\") + '"'

    assert key == parse_key([key.encode()]) == parse_key([quoted.encode()])
    assert key == parse_key([quoted.encode()], KeyFormat.QUOTED)
