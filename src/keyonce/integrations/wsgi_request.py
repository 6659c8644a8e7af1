# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The request side of the WSGI gateway: read whole, bounded, given on."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from wsgiref.util import FileWrapper

from keyonce.http.messages import BytesBody, RequestHead
from keyonce.integrations.spool import KIB, SPILL_AT, Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import WSGIEnvironment

    from keyonce.http.messages import Body, Headers
    from keyonce.integrations.spool import SpillSpace

READ_AT_ONCE: Final = 64 * KIB
CONTENT: Final = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})
# What may stand in a path as it is (RFC 3986, pchar); everything else is escaped.
PATH_SAFE: Final = "/!$&'()*+,;=:@-._~"


class TooLarge(Exception):
    """The body is over the operation's bound."""


class Disconnected(Exception):
    """The client went before its request was whole."""


class LengthUnknown(Exception):
    """The body is chunked, and the server does not say where it ends."""


def head_of(environ: WSGIEnvironment) -> RequestHead:
    """Give the head of a WSGI request.

    The path is as it was received where the server tells (``RAW_URI``,
    ``REQUEST_URI``). Else it is made from the decoded one, in which ``%2F`` and
    ``/`` are the same.
    """
    return RequestHead(
        method=environ["REQUEST_METHOD"],
        raw_path=_raw_path(environ),
        query=_latin(environ.get("QUERY_STRING", "")),
        headers=_headers(environ),
        context=environ,
    )


def _raw_path(environ: WSGIEnvironment) -> bytes:
    uri = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if uri:
        return _latin(_path_of(uri))
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return quote(_latin(path), safe=PATH_SAFE).encode("ascii") or b"/"


def _path_of(uri: str) -> str:
    path = uri.partition("?")[0]
    if path.startswith("/") or "://" not in path:
        return path
    # A request to a proxy names the host as well.
    return "/" + path.partition("://")[2].partition("/")[2]


def _headers(environ: WSGIEnvironment) -> Headers:
    return tuple(
        [
            (_header_name(name), value.encode("latin-1", "backslashreplace"))
            for name, value in environ.items()
            if name[:5] == "HTTP_" or (name in CONTENT and value)
        ]
    )


# Clients send few names over and over; the bound is for those that do not.
@lru_cache(maxsize=512)
def _header_name(variable: str) -> bytes:
    return _latin(variable.removeprefix("HTTP_").lower().replace("_", "-"))


def _latin(text: str) -> bytes:
    # PEP 3333: every string of an environ is bytes read as Latin-1.
    return text.encode("latin-1", "backslashreplace")


def whole_body(
    environ: WSGIEnvironment, space: SpillSpace, limit: int
) -> BytesBody | Spool:
    """Receive the whole body, in memory or spilled.

    Raises:
        TooLarge: it has more than *limit* bytes.
        Disconnected: the client went first.
        LengthUnknown: nobody says where it ends.
        SpillFull: there is no room for another large body.
    """
    length = body_length(environ)
    if length is not None and length > limit:
        raise TooLarge
    pieces = _pieces(environ["wsgi.input"], length)
    first = next(pieces, b"")
    if length is not None and len(first) == length:
        return BytesBody(first)
    spool = Spool(space)
    try:
        _fill(spool, first, pieces, limit)
        _check_whole(spool, length)
    except BaseException:
        spool.close()
        raise
    return spool


def body_length(environ: WSGIEnvironment) -> int | None:
    """Say how many bytes the body has, None where it ends by itself.

    Raises:
        LengthUnknown: nobody says where it ends.
    """
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared.isascii() and declared.isdigit():
        return int(declared)
    if environ.get("wsgi.input_terminated"):
        return None
    if declared or environ.get("HTTP_TRANSFER_ENCODING"):
        raise LengthUnknown
    return 0


def _pieces(stream: Any, length: int | None) -> Iterator[bytes]:
    left = length
    while left is None or left > 0:
        at_once = READ_AT_ONCE if left is None else min(left, SPILL_AT)
        try:
            piece = stream.read(at_once)
        except OSError as error:
            raise Disconnected from error
        if not piece:
            return
        yield piece
        if left is not None:
            left -= len(piece)


def _fill(spool: Spool, first: bytes, rest: Iterator[bytes], limit: int) -> None:
    piece: bytes | None = first
    while piece is not None:
        if spool.size + len(piece) > limit:
            raise TooLarge
        spool.write(piece)
        piece = next(rest, None)


def _check_whole(spool: Spool, length: int | None) -> None:
    if length is not None and spool.size < length:
        raise Disconnected


def give(environ: WSGIEnvironment, body: Body) -> None:
    """Have *environ* give *body*, whose length is now known, to the app.

    The server's own way to send a file is put out of reach: it works only when the
    server itself gets what the app made.
    """
    environ["wsgi.input"] = io.BufferedReader(_Reading(body), READ_AT_ONCE)
    environ["wsgi.input_terminated"] = True
    environ["CONTENT_LENGTH"] = str(body.size)
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["wsgi.file_wrapper"] = FileWrapper


class _Reading(io.RawIOBase):
    """Reads a body once, from its start."""

    def __init__(self, body: Body) -> None:
        self._pieces = body.chunks()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
