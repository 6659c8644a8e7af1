# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A frame gives back what it was made of, or says that it cannot be read."""

from __future__ import annotations

import struct
from binascii import crc32

import pytest

from keyonce.core.codec import decode, encode
from keyonce.core.errors import RecordUnreadable, StoreError
from keyonce.core.model import StoredResult

PLAIN = StoredResult(
    201, ((b"location", b"/orders/1"), (b"x", b"")), b"tea\0\n", size=5
)

RESULTS = [
    PLAIN,
    StoredResult(200, ((b"Set", b"1"), (b"set", b"2"), (b"Set", b"1")), size=0),
    StoredResult(200, (), b"body", size=9000),
    StoredResult(200, (), b"", kept=False, size=2**63),
    StoredResult(204),
    StoredResult(0, (), b"\x80result", size=7),
    StoredResult(100, ((b"a", b"\xff\x80 \t"),)),
    StoredResult(999, ((b"n" * 65_535, b"v" * 70_000),) * 3, b"x" * 300_000, size=1),
    StoredResult(200, ((b"a", b"b"),) * 65_535),
    StoredResult(201, (), b"\x01envelope", size=9, sealed="2026-11"),
    StoredResult(201, ((b"n", b"v"),), b"", kept=False, size=5, sealed="k" * 255),
]
SEALED = RESULTS[-2]


def forged(content: bytes) -> bytes:
    """A frame as somebody would make it who can compute a CRC."""
    return content + struct.pack("<I", crc32(content))


@pytest.mark.parametrize(
    "result", RESULTS, ids=lambda r: f"{r.status}-{len(r.headers)}"
)
def test_what_goes_in_comes_out(result):
    assert result == decode(encode(result))


def test_a_frame_adds_little():
    result = StoredResult(200, ((b"etag", b'"1"'),) * 5, b"x" * 300, size=300)

    assert 300 + 5 * 7 + 40 == len(encode(result))


def test_a_frame_without_a_seal_is_as_it_always_was():
    frame = struct.pack(">BBHHHI", 1, 1, 200, 1, 1, 2) + b"n" + b"vw" + b"body"

    assert forged(frame) == encode(StoredResult(200, ((b"n", b"vw"),), b"body", size=4))


def test_a_sealed_frame_names_its_key():
    frame = struct.pack(">BBHH", 1, 5, 201, 0) + b"\x072026-11" + b"\x01envelope"

    assert forged(frame) == encode(SEALED)


@pytest.mark.parametrize("end", range(len(encode(SEALED))))
def test_a_torn_envelope_is_unreadable(end):
    with pytest.raises(RecordUnreadable):
        decode(encode(SEALED)[:end])


@pytest.mark.parametrize("end", range(len(encode(PLAIN))))
def test_a_torn_frame_is_unreadable(end):
    with pytest.raises(RecordUnreadable):
        decode(encode(PLAIN)[:end])


@pytest.mark.parametrize("more", [b"\0", b"\0\0\0\0", b"x"])
def test_a_frame_with_something_behind_it_is_unreadable(more):
    with pytest.raises(RecordUnreadable):
        decode(encode(PLAIN) + more)


@pytest.mark.parametrize("bit", range(8 * len(encode(PLAIN))))
def test_a_flipped_bit_is_seen(bit):
    frame = bytearray(encode(PLAIN))
    frame[bit // 8] ^= 1 << bit % 8

    with pytest.raises(RecordUnreadable):
        decode(bytes(frame))


@pytest.mark.parametrize("version", [0, 2, 255])
def test_a_newer_frame_is_unreadable_and_says_so(version):
    frame = forged(bytes((version,)) + encode(PLAIN)[1:-4])

    with pytest.raises(RecordUnreadable, match="newer"):
        decode(frame)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\1",
        struct.pack(">BBHH", 1, 5, 200, 0),
        struct.pack(">BBHH", 1, 9, 200, 0),
        struct.pack(">BBHH", 1, 5, 200, 0) + b"\0body",
        struct.pack(">BBHH", 1, 5, 200, 0) + b"\5body",
        struct.pack(">BBHH", 1, 5, 200, 0) + b"\3a b",
        struct.pack(">BBHH", 1, 5, 200, 0) + b"\3a\xffb",
        struct.pack(">BBHH", 1, 4, 200, 0) + b"\1abody",
        struct.pack(">BBHH", 1, 1, 99, 0),
        struct.pack(">BBHH", 1, 1, 1, 0),
        struct.pack(">BBHH", 1, 1, 1000, 0),
        struct.pack(">BBHH", 1, 0, 200, 0) + b"body",
        struct.pack(">BBHH", 1, 3, 200, 0) + b"1234567",
        struct.pack(">BBHH", 1, 1, 200, 65_535) + b"x" * 100,
        struct.pack(">BBHHHI", 1, 1, 200, 1, 1, 2) + b"nv",
        struct.pack(">BBHHHI", 1, 1, 200, 1, 1, 2**32 - 1) + b"nv",
        struct.pack(">BBHHHI", 1, 1, 200, 1, 0, 1) + b"v",
        struct.pack(">BBHHHI", 1, 1, 200, 1, 1, 1) + b":v",
        struct.pack(">BBHHHI", 1, 1, 200, 1, 1, 1) + b"\nv",
        struct.pack(">BBHHHI", 1, 1, 200, 1, 1, 1) + b"\xffv",
        struct.pack(">BBHHHI", 1, 1, 200, 1, 1, 1) + b"n\n",
        struct.pack(">BBHHHI", 1, 1, 200, 1, 1, 1) + b"n\r",
        struct.pack(">BBHHHI", 1, 1, 200, 1, 1, 1) + b"n\0",
    ],
)
def test_a_forged_frame_is_unreadable(content):
    with pytest.raises(RecordUnreadable):
        decode(forged(content))


@pytest.mark.parametrize(
    "result",
    [
        StoredResult(99),
        StoredResult(1000),
        StoredResult(-1),
        StoredResult(200, ((b"", b"v"),)),
        StoredResult(200, ((b"a b", b"v"),)),
        StoredResult(200, ((b"a:b", b"v"),)),
        StoredResult(200, ((b"a", b"v\r\nb: c"),)),
        StoredResult(200, ((b"a", b"v\0"),)),
        StoredResult(200, (), b"body", kept=False),
        StoredResult(200, (), size=-1),
        StoredResult(200, (), b"x", size=1, sealed="k" * 256),
        StoredResult(200, (), b"x", size=1, sealed="a key"),
        StoredResult(200, (), b"x", size=1, sealed="schlüssel"),
        StoredResult(200, (), size=2**64),
        StoredResult(200, ((b"a" * 65_536, b"v"),)),
        StoredResult(200, ((b"a", b"v"),) * 65_536),
    ],
    ids=lambda r: f"{r.status}-{r.headers[:1]!s:.20}-{r.size}",
)
def test_what_could_not_be_sent_is_not_stored(result):
    with pytest.raises(StoreError, match="cannot be stored"):
        encode(result)
