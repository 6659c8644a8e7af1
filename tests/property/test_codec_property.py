# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""No bytes break the codec: a record is read whole, or said to be unreadable."""

from __future__ import annotations

import struct
from binascii import crc32

from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.codec import decode, encode
from keyonce.core.errors import RecordUnreadable
from keyonce.core.model import StoredResult

TOKEN = "!#$%&'*+-.^_`|~0189AZaz"

names = st.text(TOKEN, min_size=1, max_size=12).map(str.encode)
values = st.binary(max_size=20).filter(lambda value: not set(value) & set(b"\r\n\0"))
results = st.builds(
    lambda status, headers, body, kept, size, sealed: StoredResult(
        status, tuple(headers), body if kept else b"", kept, size, sealed
    ),
    st.integers(100, 999) | st.just(0),
    st.lists(st.tuples(names, values), max_size=5),
    st.binary(max_size=40),
    st.booleans(),
    st.integers(0, 2**64 - 1) | st.integers(0, 40),
    st.just("") | st.text("-_.09AZaz", min_size=1, max_size=32),
)


def forged(content: bytes) -> bytes:
    return content + struct.pack("<I", crc32(content))


def is_sound(result: StoredResult) -> bool:
    return (
        (result.status == 0 or 100 <= result.status <= 999)
        and all(n and not set(n) - set(TOKEN_BYTES) for n, _ in result.headers)
        and not any(set(v) & set(b"\r\n\0") for _, v in result.headers)
        and (result.kept or not result.body)
    )


TOKEN_BYTES = (
    b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)


@given(results)
def test_what_goes_in_comes_out(result):
    assert result == decode(encode(result))


@given(
    results,
    st.binary(max_size=8),
    st.integers(0, 120),
    st.integers(0, 120),
    st.booleans(),
)
def test_mutated_bytes_are_unreadable_or_sound(result, junk, start, end, mend):
    content = encode(result)[:-4]
    mutated = content[:start] + junk + content[end:]

    try:
        read = decode(forged(mutated) if mend else mutated)
    except RecordUnreadable:
        return

    assert is_sound(read)
    assert read == decode(encode(read))


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_unreadable_or_sound(data, mend):
    try:
        read = decode(forged(b"\1\1" + data) if mend else data)
    except RecordUnreadable:
        return

    assert is_sound(read)
