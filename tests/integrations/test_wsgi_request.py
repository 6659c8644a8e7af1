# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the WSGI gateway reads from an environ, and what the app then gets."""

from __future__ import annotations

import io
from functools import partial

import pytest

from keyonce.integrations.spool import SPILL_AT, SpillFull, SpillSpace
from keyonce.integrations.wsgi_request import (
    Disconnected,
    LengthUnknown,
    TooLarge,
    give,
    head_of,
    whole_body,
)
from tests.integrations.environs import call, environ, guarded

LARGE = bytes(range(256)) * 4096
LIMIT = 10 * len(LARGE)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"RAW_URI": "/a%2fb?c=/d"}, b"/a%2fb"),
        ({"REQUEST_URI": "/a%2fb?c"}, b"/a%2fb"),
        ({"RAW_URI": "http://host:80/a%2Fb?c"}, b"/a%2Fb"),
        ({"RAW_URI": "http://host"}, b"/"),
        ({"RAW_URI": "//host/a"}, b"//host/a"),
        ({"SCRIPT_NAME": "/shop", "PATH_INFO": "/a/b"}, b"/shop/a/b"),
        ({"PATH_INFO": "/caf\xc3\xa9/a b;v=1,2@~"}, b"/caf%C3%A9/a%20b;v=1,2@~"),
        ({"PATH_INFO": "/50%"}, b"/50%25"),
        ({"PATH_INFO": ""}, b"/"),
    ],
)
def test_the_path_is_as_received_where_that_is_known(told, expected):
    assert expected == head_of(environ(**told)).raw_path


def test_headers_are_lower_case_bytes():
    head = head_of(environ(HTTP_X_NAME="caf\xe9", QUERY_STRING="a=1"))

    assert [b"caf\xe9"] == head.values(b"x-name")
    assert [b"application/json"] == head.values(b"content-type")
    assert [b"2"] == head.values(b"content-length")
    assert (b"a=1", "POST") == (head.query, head.method)


def whole(request, space=None, limit=LIMIT):
    return whole_body(request, space or SpillSpace(), limit)


@pytest.mark.parametrize("body", [b"", b"small", LARGE], ids=["none", "small", "large"])
@pytest.mark.parametrize("length", [True, False], ids=["told", "terminated"])
def test_a_body_comes_whole_and_the_app_can_read_it_in_any_way(body, length):
    told = {} if length else {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    readers = (
        lambda stream: stream.read(),
        lambda stream: stream.read(len(body)) + stream.read(10),
        lambda stream: b"".join(iter(partial(stream.read, 1000), b"")),
        b"".join,
        lambda stream: b"".join(stream.readlines()),
        lambda stream: b"".join(iter(stream.readline, b"")),
    )
    for read in readers:
        request = environ(body=body, HTTP_TRANSFER_ENCODING="chunked", **told)
        kept = whole(request)

        give(request, kept)

        assert body == read(request["wsgi.input"])
        assert str(len(body)) == request["CONTENT_LENGTH"]
        assert "HTTP_TRANSFER_ENCODING" not in request
        kept.close()


def test_no_more_is_read_than_was_told():
    request = environ(body=b"one", **{"wsgi.input": io.BytesIO(b"oneTWO")})

    assert b"one" == b"".join(whole(request).chunks())
    assert b"TWO" == request["wsgi.input"].read()


@pytest.mark.parametrize("size", [5, SPILL_AT + 5])
def test_a_body_that_ends_early_is_none(size):
    space = SpillSpace()
    request = environ(body=b"x" * size, CONTENT_LENGTH=str(size + 1))

    with pytest.raises(Disconnected):
        whole(request, space)
    assert 0 == space.used


def test_a_line_that_breaks_is_a_client_that_went():
    class Broken:
        def read(self, size):
            raise ConnectionResetError

    with pytest.raises(Disconnected):
        whole(environ(**{"wsgi.input": Broken()}))


@pytest.mark.parametrize(
    "told",
    [
        {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"},
        {"CONTENT_LENGTH": "-1"},
        {"CONTENT_LENGTH": "\xb2"},
        {"CONTENT_LENGTH": "2, 2"},
    ],
)
def test_a_body_without_an_end_is_not_guessed_at(told):
    with pytest.raises(LengthUnknown):
        whole(environ(**told))


def test_a_body_over_the_bound_is_not_read():
    stream = io.BytesIO(LARGE)
    with pytest.raises(TooLarge):
        whole(environ(body=LARGE, **{"wsgi.input": stream}), limit=len(LARGE) - 1)
    assert 0 == stream.tell()

    with pytest.raises(TooLarge):
        told = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
        whole(environ(body=LARGE, **told), limit=len(LARGE) - 1)


def test_no_room_is_no_request():
    space = SpillSpace(most_bytes=SPILL_AT)

    with pytest.raises(SpillFull):
        whole(environ(body=LARGE), space)
    assert 0 == space.used


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        ("400", {"CONTENT_LENGTH": "100"}),
        ("411", {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}),
    ],
)
def test_what_cannot_be_read_whole_does_not_run(status, changes):
    runs: list[object] = []
    heard = call(guarded(runs.append), environ(**changes))

    assert heard.status.startswith(status)
    assert [] == runs


def test_without_room_nothing_runs():
    runs: list[object] = []
    app = guarded(runs.append, space=SpillSpace(most_bytes=1))

    heard = call(app, environ(body=LARGE))

    assert heard.status.startswith("503")
    assert b"store-unavailable" in heard.body
    assert [] == runs
