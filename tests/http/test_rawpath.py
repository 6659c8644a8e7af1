# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyonce.http.rawpath import normal_path


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"/payments", "/payments"),
        (b"/a%2fb", "/a%2Fb"),
        (b"/a%2Fb", "/a%2Fb"),
        (b"/%41", "/%41"),
        (b"/A", "/A"),
        (b"/caf%c3%a9", "/caf%C3%A9"),
        (b"/caf\xc3\xa9", "/caf%xC3%xA9"),
        (b"/a b\x00\x7f", "/a%x20b%x00%x7F"),
        (b"/100%", "/100%x25"),
        (b"/%zz", "/%x25zz"),
        (b"/%xC3", "/%x25xC3"),
        (b"/a?b=%2f", "/a"),
        (b"", ""),
    ],
)
def test_a_path_has_one_spelling(raw, text):
    assert text == normal_path(raw)


def one_case(raw: bytes) -> bytes:
    """The path with its escapes in one letter case, and nothing else changed."""
    out, at = b"", 0
    while at < len(raw):
        three = raw[at : at + 3]
        hexadecimal = len(three) == 3 and all(
            c in b"0123456789abcdefABCDEF" for c in three[1:]
        )
        step = 3 if three[:1] == b"%" and hexadecimal else 1
        out, at = out + (three.upper() if step == 3 else raw[at : at + 1]), at + step
    return out


PATHS = st.lists(
    st.sampled_from(
        [
            b"/",
            b"a",
            b"%",
            b"x",
            b"2",
            b"f",
            b"F",
            b"C3",
            b"c3",
            b"#",
            b"\xc3",
            b" ",
            b"%2f",
        ]
    ),
    max_size=8,
).map(b"".join) | st.binary(max_size=12).map(lambda raw: raw.replace(b"?", b""))


@given(PATHS, PATHS)
@example(b"\xc3", b"%C3")
@example(b"%", b"%25")
@example(b"%xC3", b"\xc3")
@example(b" ", b"%20")
def test_two_paths_share_a_spelling_only_by_the_case_of_escapes(left, right):
    same = normal_path(left) == normal_path(right)

    assert same == (one_case(left) == one_case(right))


@given(st.binary())
def test_a_spelling_is_printable_ascii_without_space_and_query(raw):
    text = normal_path(raw)

    assert text.isascii()
    assert text.isprintable()
    assert not set(" ?") & set(text)
