# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Multipart bodies by their parts: a retry draws another boundary.

A part counts by its headers, in order, names in lower case, and by the bytes of
its body. The reader is strict where servers differ: text before the first or
behind the last boundary, padding behind a boundary, a folded or broken header
line, or the boundary anywhere but in its place make the body count by its
bytes instead, and so do more than 4096 parts. One piece of the body is in
memory at a time.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from keyonce.core.netstring import pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_PART_HEAD: Final = 8192
MAX_PARTS: Final = 4096

_CRLF: Final = b"\r\n"
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_NAME: Final = re.compile(_TOKEN)
_PARAMETER: Final = re.compile(
    rb"[ \t]*;[ \t]*(?:(" + _TOKEN + rb')=(?:"([^"\\]*)"|([^\s;"\\]+)))?'
)
_BOUNDARY: Final = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{1,70}(?<! )")


class _Malformed(ValueError):
    """Not a multipart body that every server reads alike."""


def digest_parts(content_type: bytes, chunks: Iterable[bytes]) -> bytes | None:
    """Digest the parts of a body; None when it has no canonical form."""
    boundary = find_boundary(content_type)
    if boundary is None:
        return None
    parts = sha256()
    try:
        for head, body_digest, size in _parts(_Feed(chunks), b"--" + boundary):
            parts.update(pairs(head) + body_digest + b"%d," % size)
    except _Malformed:
        return None
    return parts.digest()


def find_boundary(content_type: bytes) -> bytes | None:
    """Find the boundary parameter; None unless there is exactly one good one."""
    _, semicolon, rest = content_type.partition(b";")
    rest = (semicolon + rest).rstrip(b" \t")
    found, at = [], 0
    while at < len(rest):
        parameter = _PARAMETER.match(rest, at)
        if parameter is None:
            return None
        at = parameter.end()
        if parameter[1] is not None and parameter[1].lower() == b"boundary":
            found.append(parameter[2] if parameter[3] is None else parameter[3])
    if len(found) != 1 or not _BOUNDARY.fullmatch(found[0]):
        return None
    return found[0]


class _Feed:
    """The unread bytes of a body. A line break stands before the first."""

    __slots__ = ("_at", "_chunks", "_held")

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = _CRLF
        self._at = 0

    def __len__(self) -> int:
        return len(self._held) - self._at

    def more(self) -> bool:
        """Get one more piece; false at the end."""
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._held = self._held[self._at :] + chunk
        self._at = 0
        return True

    def find(self, mark: bytes) -> int:
        """Say how far ahead *mark* is; -1 when it is not in sight."""
        found = self._held.find(mark, self._at)
        return found if found < 0 else found - self._at

    def take(self, count: int) -> bytes:
        """Take *count* bytes, or find the body torn."""
        while len(self) < count:
            if not self.more():
                raise _Malformed
        taken = self._held[self._at : self._at + count]
        self._at += count
        return taken


Head = list[tuple[bytes, bytes]]


def _parts(feed: _Feed, dashed: bytes) -> Iterator[tuple[Head, bytes, int]]:
    opening = _CRLF + dashed
    if feed.take(len(opening)) != opening:
        raise _Malformed
    for _ in range(MAX_PARTS):
        if _closed(feed):
            return
        head = _head(feed, dashed)
        yield head, *_body(feed, dashed)
    if not _closed(feed):
        raise _Malformed


def _closed(feed: _Feed) -> bool:
    """Whether this boundary is the last; at most a line break follows it."""
    behind = feed.take(len(_CRLF))
    if behind == _CRLF:
        return False
    if behind != b"--":
        raise _Malformed
    while len(feed) <= len(_CRLF) and feed.more():
        pass
    if feed.take(len(feed)) not in (b"", _CRLF):
        raise _Malformed
    return True


def _head(feed: _Feed, dashed: bytes) -> Head:
    """Read the header lines and the empty line behind them."""
    head: Head = []
    room = MAX_PART_HEAD
    while line := _line(feed, room):
        if dashed in line:
            raise _Malformed
        head.append(_header(line))
        room -= len(line) + len(_CRLF)
    return head


def _line(feed: _Feed, room: int) -> bytes:
    while (end := feed.find(_CRLF)) < 0:
        if len(feed) > room + 1 or not feed.more():
            raise _Malformed
    if end > room:
        raise _Malformed
    return feed.take(end + len(_CRLF))[:end]


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not _NAME.fullmatch(name) or b"\r" in line or b"\n" in line:
        raise _Malformed
    return name.lower(), value.strip(b" \t")


def _body(feed: _Feed, dashed: bytes) -> tuple[bytes, int]:
    """Digest the body up to the boundary, which is taken too."""
    body, size = sha256(), 0
    held = len(_CRLF) + len(dashed) - 1  # may be the start of a delimiter
    while (at := feed.find(dashed)) < 0:
        piece = feed.take(max(0, len(feed) - held))
        body.update(piece)
        size += len(piece)
        if not feed.more():
            raise _Malformed
    last = feed.take(at + len(dashed))[:at]
    if not last.endswith(_CRLF):
        raise _Malformed
    last = last[: -len(_CRLF)]
    body.update(last)
    return body.digest(), size + len(last)
