# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.proxy.scanner import Malformed, Scanner
from tests.proxy.vectors import BAD, GOOD, TOO_LARGE

REQUEST = b"GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n"


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_refuses_whole(raw):
    with pytest.raises(Malformed) as caught:
        Scanner().feed(raw)

    assert 400 == caught.value.status


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_refuses_byte_by_byte(raw):
    scanner = Scanner()

    with pytest.raises(Malformed):
        for index in range(len(raw)):
            scanner.feed(raw[index : index + 1])


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_refuses_behind_a_good_request(raw):
    scanner = Scanner()
    scanner.feed(REQUEST)

    with pytest.raises(Malformed):
        scanner.feed(raw)


@pytest.mark.parametrize("raw", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_refuses_a_large_head(raw):
    with pytest.raises(Malformed) as caught:
        Scanner().feed(raw)

    assert 431 == caught.value.status


def test_refuses_many_fields():
    fields = b"".join(b"X-%d: a\r\n" % n for n in range(300))

    with pytest.raises(Malformed):
        Scanner().feed(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")


@pytest.mark.parametrize("raw", GOOD.values(), ids=GOOD.keys())
def test_lets_pass(raw):
    Scanner().feed(raw)


@pytest.mark.parametrize("first", GOOD.values(), ids=GOOD.keys())
def test_finds_the_next_request(first):
    scanner = Scanner()
    scanner.feed(first + REQUEST)

    with pytest.raises(Malformed):
        scanner.feed(b"not a request\r\n\r\n")


@given(
    raws=st.lists(st.sampled_from(list(GOOD.values())), min_size=1, max_size=4),
    data=st.data(),
)
def test_where_the_bytes_are_cut_makes_no_difference(raws, data):
    stream = b"".join(raws)
    scanner = Scanner()

    while stream:
        size = data.draw(st.integers(1, min(40, len(stream))))
        scanner.feed(stream[:size])
        stream = stream[size:]

    scanner.feed(REQUEST)


def test_a_websocket_that_nobody_accepted_ends_the_connection():
    scanner = Scanner()
    scanner.feed(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
        b"Upgrade: WebSocket\r\n\r\n\x81\x05hello"
    )

    with pytest.raises(Malformed):
        scanner.feed(REQUEST)
