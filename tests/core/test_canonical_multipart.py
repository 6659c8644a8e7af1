# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Multipart bodies: by their parts, whatever the boundary and the pieces."""

from __future__ import annotations

import tracemalloc

import pytest

from keyonce.core.canonical_multipart import (
    MAX_PART_HEAD,
    MAX_PARTS,
    digest_parts,
    find_boundary,
)

TYPE = b"multipart/form-data; boundary=B"


def body_of(*parts: tuple[bytes, bytes], boundary: bytes = b"B") -> bytes:
    written = [
        b"--" + boundary + b"\r\n" + head + b"\r\n" + body + b"\r\n"
        for head, body in parts
    ]
    return b"".join(written) + b"--" + boundary + b"--\r\n"


NAME = (b'Content-Disposition: form-data; name="sku"\r\n', b"tea")
FILE = (
    (
        b'Content-Disposition: form-data; name="f"; filename="a"\r\n'
        b"Content-Type: image/png\r\n"
    ),
    b"\x89PNG\r\n\r\n-- B --\r\n\x00",
)
GOOD = body_of(NAME, FILE)


def digest(body: bytes, content_type: bytes = TYPE) -> bytes | None:
    return digest_parts(content_type, [body])


def test_the_boundary_does_not_matter():
    other = body_of(NAME, FILE, boundary=b"----WebKitFormBoundary7MA4YWxk")
    other_type = b'multipart/form-data; boundary="----WebKitFormBoundary7MA4YWxk"'

    assert digest(GOOD) is not None
    assert digest(GOOD) == digest(other, other_type)


def test_the_case_of_header_names_and_the_last_line_break_do_not_matter():
    shouted = (NAME[0].replace(b"Content-Disposition", b"CONTENT-DISPOSITION"), b"tea")

    assert digest(GOOD) == digest(body_of(shouted, FILE)[:-2])


@pytest.mark.parametrize(
    "other",
    [
        body_of(FILE, NAME),
        body_of(NAME),
        body_of(),
        body_of(NAME, FILE, FILE),
        body_of((NAME[0], b"tee"), FILE),
        body_of((NAME[0], b"tea\r\n"), FILE),
        body_of((NAME[0].replace(b"sku", b"uks"), b"tea"), FILE),
        body_of((b"", b"tea"), FILE),
        body_of((NAME[0] + b"X-A: 1\r\n", b"tea"), FILE),
    ],
)
def test_parts_and_their_order_matter(other):
    assert digest(other) is not None
    assert digest(GOOD) != digest(other)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 1000])
def test_the_pieces_do_not_matter(size):
    pieces = [GOOD[at : at + size] for at in range(0, len(GOOD), size)]

    assert digest(GOOD) == digest_parts(TYPE, pieces)


BROKEN = [
    b"",
    b"--B",
    b"--B\r\n",
    GOOD[:-6],
    GOOD[:-4],
    b"preamble\r\n" + GOOD,
    b"\r\n" + GOOD,
    GOOD + b"epilogue",
    GOOD + b"\r\n",
    GOOD.replace(b"\r\n", b"\n"),
    GOOD.replace(b"--B\r\n", b"--B \r\n"),
    GOOD.replace(b"tea", b"--B"),
    GOOD.replace(b"tea", b"x\n--B\r\n"),
    GOOD.replace(b"tea", b"x\r\n--Bx"),
    GOOD.replace(b'"sku"', b'"--B"'),
    GOOD.replace(b'"sku"', b'"sku";\r\n x=y'),
    GOOD.replace(b"Content-Type:", b"Content-Type :"),
    GOOD.replace(b"Content-Type:", b"Content-Type"),
    GOOD.replace(b"image/png", b"image/png\rX: y"),
    GOOD.replace(b"image/png", b"x" * MAX_PART_HEAD),
    b"--B\r\nA: b\r\n--B--\r\n",
    b"--B\r\n\r\n--B--\r\n",
]


@pytest.mark.parametrize("size", [1, 5, 100_000])
@pytest.mark.parametrize("body", BROKEN)
def test_what_servers_may_read_differently_has_no_form(body, size):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]

    assert digest_parts(TYPE, pieces) is None


@pytest.mark.parametrize("size", [1, 5, 100_000])
@pytest.mark.parametrize("over", [0, 1])
def test_a_head_is_bounded_however_it_arrives(size, over):
    head = b"A:" + b"x" * (MAX_PART_HEAD - 4 + over) + b"\r\n"
    body = body_of((head, b"tea"))
    pieces = [body[at : at + size] for at in range(0, len(body), size)]

    assert (digest_parts(TYPE, pieces) is None) is bool(over)


def test_an_endless_head_is_given_up_soon():
    asked = 0

    def pieces():
        nonlocal asked
        yield b"--B\r\nA:"
        while asked < 100:
            asked += 1
            yield b"x" * 1024

    assert digest_parts(TYPE, pieces()) is None
    assert asked < 10


@pytest.mark.parametrize("over", [0, 1])
def test_the_parts_are_bounded_in_number(over):
    body = body_of(*[(b"", b"")] * (MAX_PARTS + over))

    assert (digest(body) is None) is bool(over)


def test_a_body_may_have_no_parts():
    assert digest(b"--B--") == digest(b"--B--\r\n") is not None


def test_a_part_may_be_empty_and_have_no_headers():
    assert digest(b"--B\r\n\r\n\r\n--B--\r\n") is not None


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b"multipart/form-data;boundary=abc;", b"abc"),
        (b'multipart/form-data; charset=utf-8; BOUNDARY="a b"', b"a b"),
        (b'multipart/form-data; x="; boundary=no"; boundary=abc', b"abc"),
        (b"multipart/form-data", None),
        (b"multipart/form-data; boundary=", None),
        (b'multipart/form-data; boundary=""', None),
        (b'multipart/form-data; boundary="a', None),
        (b"multipart/form-data; boundary=a; boundary=b", None),
        (b"multipart/form-data; boundary=a b", None),
        (b"multipart/form-data; boundary=" + b"a" * 70, b"a" * 70),
        (b"multipart/form-data; boundary=" + b"a" * 71, None),
        (b"multipart/form-data; boundary=\xff", None),
    ],
)
def test_there_is_one_good_boundary_or_none(content_type, boundary):
    assert boundary == find_boundary(content_type)


def test_a_large_part_is_never_in_memory():
    def pieces():
        yield b"--B\r\n" + FILE[0] + b"\r\n"
        for _ in range(512):
            yield b"\r\n--x" * 13_107
        yield b"\r\n--B--\r\n"

    tracemalloc.start()
    try:
        assert digest_parts(TYPE, pieces()) is not None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000
