# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Read the raw bytes of a connection and refuse what two parsers could read apart.

The server's own parser repairs or overlooks some of what makes request smuggling
work: a bare line feed, a folded line, a chunk extension, a trailer that is added to
the headers. This scanner sees the bytes before that parser does, frames every
request by RFC 9112 without any leniency, and raises at the first doubt.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import Enum, auto
from functools import lru_cache
from typing import Final

LARGEST_HEAD: Final = 64 * 1024
MOST_FIELDS: Final = 256
_LONGEST_SIZE_LINE: Final = 18

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE: Final = re.compile(
    rb"(?P<method>" + _TOKEN + rb") (?P<target>[!-~]+) HTTP/1\.(?P<minor>[01])\r\n"
)
_FIELDS: Final = re.compile(
    rb"(?:" + _TOKEN + rb":[^\x00-\x08\x0a-\x1f\x7f]*\r\n){0,%d}\r\n" % MOST_FIELDS
)
_FIELD: Final = re.compile(rb"([^:\r\n]+):([^\r]*)\r\n")
# Names that decide about framing, routing or identity, also as servers spell them
# that turn every dash into an underscore.
_WATCHED: Final = (
    rb"content[-_]length|transfer[-_]encoding|host|upgrade|connection|"
    rb"idempotency_key|forwarded|x_forwarded_[a-z]+"
)
# What may say who is calling, whatever the scope is told by.
_ALWAYS_IDENTITY: Final = frozenset({b"authorization", b"cookie"})
_LOOSE_END: Final = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\x00")
_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")
_SIZE_SO_FAR: Final = re.compile(rb"[0-9A-Fa-f]{0,15}\r?")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_HOST: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+;=%\[\]:-]*")


class Malformed(Exception):
    """A request that must not be understood by guessing. *status* answers it."""

    def __init__(self, reason: str, *, status: int = 400) -> None:
        """Say in *reason* what is wrong, without repeating the bytes."""
        super().__init__(reason)
        self.reason = reason
        self.status = status


class _At(Enum):
    HEAD = auto()
    BODY = auto()
    SIZE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    TUNNEL = auto()


class Scanner:
    """Follows one connection. Give it every byte, in order, before the parser."""

    def __init__(self, identity: frozenset[bytes] = frozenset()) -> None:
        """Begin before the first request.

        *identity* are the lower-case names of the headers that say whose request
        it is, and which: see ``check_head``.
        """
        self._identity = identity
        self._at = _At.HEAD
        self._held = b""
        self._left = 0
        self._looked = 0
        self._skipped = False

    def feed(self, data: bytes) -> None:
        """Follow *data*.

        Raises:
            Malformed: nothing of *data* may be parsed; close the connection.
        """
        if self._at is _At.TUNNEL:
            # Whoever accepts a WebSocket takes the connection from us.
            raise Malformed("The request for a WebSocket was not accepted.")
        rest = self._held + data if self._held else data
        self._held = b""
        while rest:
            match self._at:
                case _At.HEAD:
                    rest = self._head(rest)
                case _At.BODY | _At.CHUNK:
                    rest = self._skip(rest)
                case _At.SIZE:
                    rest = self._size(rest)
                case _At.CHUNK_END:
                    rest = self._chunk_end(rest)
                case _At.TRAILERS:
                    rest = self._trailers(rest)
                case _At.TUNNEL:
                    return

    def _hold(self, rest: bytes, largest: int) -> bytes:
        """Keep an unfinished head for later, if it can still become a good one."""
        if len(rest) > largest:
            raise Malformed("The head of the request is too large.", status=431)
        if _LOOSE_END.search(rest, max(0, self._looked - 1)):
            raise Malformed("A line of the request does not end in CR LF.")
        self._held = rest
        self._looked = len(rest)
        return b""

    def _head(self, rest: bytes) -> bytes:
        if rest.startswith(b"\r\n"):  # RFC 9112 §2.2: one empty line may come first
            if self._skipped:
                raise Malformed("Empty lines stand before the request.")
            self._skipped, self._looked = True, 0
            return rest[2:]
        end = rest.find(b"\r\n\r\n", max(0, self._looked - 3)) + 4
        if end < 4:  # noqa: PLR2004 - not found
            return self._hold(rest, LARGEST_HEAD)
        if end > LARGEST_HEAD:
            raise Malformed("The head of the request is too large.", status=431)
        self._skipped, self._looked = False, 0
        framing = check_head(rest[:end], self._identity)
        if framing is TUNNEL:
            self._at = _At.TUNNEL
        elif framing is CHUNKED:
            self._at = _At.SIZE
        elif framing:
            self._at, self._left = _At.BODY, framing
        return rest[end:]

    def _skip(self, rest: bytes) -> bytes:
        if len(rest) < self._left:
            self._left -= len(rest)
            return b""
        rest, self._left = rest[self._left :], 0
        self._at = _At.CHUNK_END if self._at is _At.CHUNK else _At.HEAD
        return rest

    def _size(self, rest: bytes) -> bytes:
        end = rest.find(b"\r\n", 0, _LONGEST_SIZE_LINE)
        if end < 0:
            if not _SIZE_SO_FAR.fullmatch(rest):
                raise Malformed("The size of a chunk is not a plain number.")
            self._held = rest
            return b""
        if not _SIZE.fullmatch(rest[:end]):
            raise Malformed("The size of a chunk is not a plain number.")
        self._left = int(rest[:end], 16)
        self._at = _At.CHUNK if self._left else _At.TRAILERS
        return rest[end + 2 :]

    def _chunk_end(self, rest: bytes) -> bytes:
        if not b"\r\n".startswith(rest[:2]):
            raise Malformed("A chunk is longer than its size says.")
        if len(rest) == 1:
            self._held = rest
            return b""
        self._at = _At.SIZE
        return rest[2:]

    def _trailers(self, rest: bytes) -> bytes:
        if rest.startswith(b"\r\n"):
            self._at, self._looked = _At.HEAD, 0
            return rest[2:]
        end = rest.find(b"\r\n\r\n") + 4
        if end < 4:  # noqa: PLR2004 - not found
            return self._hold(rest, LARGEST_HEAD)
        if not _FIELDS.fullmatch(rest, 0, end):
            raise Malformed("A trailer field of the request is malformed.")
        self._at, self._looked = _At.HEAD, 0
        return rest[end:]


CHUNKED: Final = -1
TUNNEL: Final = -2


def check_head(head: bytes, identity: frozenset[bytes] = frozenset()) -> int:
    """Check a whole head; give the length of its body, or CHUNKED or TUNNEL.

    The headers of *identity* must reach the upstream as they were read here: no
    ``Connection`` may take one out, and no other spelling may stand beside it.

    Raises:
        Malformed: the head breaks a rule of RFC 9112, or leans on a leniency.
    """
    line = _REQUEST_LINE.match(head)
    if not line:
        raise Malformed("The request line is malformed.")
    if not _FIELDS.fullmatch(head, line.end()):
        raise Malformed("A header field of the request is malformed.")
    if not head.isascii():
        _check_text(head)
    _check_target(line["method"], line["target"])
    fields = _watched(head, line.end(), identity)
    _check_options(fields, identity)
    _check_host(fields, old=line["minor"] == b"0")
    length = _framing(fields, old=line["minor"] == b"0")
    return _tunnel(line["method"], fields, length) or length


def _check_text(head: bytes) -> None:
    try:
        head.decode()
    except UnicodeDecodeError:
        message = "A header value is not UTF-8 and could not be passed on unchanged."
        raise Malformed(message) from None


def _check_target(method: bytes, target: bytes) -> None:
    if method == b"CONNECT":
        raise Malformed("This is no proxy for CONNECT.")
    if not target.startswith(b"/") or b"#" in target:
        raise Malformed("The request target must be a path that starts with '/'.")


@lru_cache(maxsize=8)
def _pattern(identity: frozenset[bytes]) -> re.Pattern[bytes]:
    spelt = (
        re.escape(name.replace(b"_", b"-")).replace(rb"\-", b"[-_]")
        for name in sorted(identity)
    )
    names = b"|".join((_WATCHED, *spelt))
    return re.compile(rb"(?i)^(?:%b)[ \t]*:" % names, re.MULTILINE)


def _watched(
    head: bytes, start: int, identity: frozenset[bytes]
) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for hit in _pattern(identity).finditer(head, start):
        field = _FIELD.match(head, hit.start())
        if field:
            found.setdefault(field[1].lower(), []).append(field[2])
    if any(_misspelt(name, identity) for name in found):
        raise Malformed("A header name is spelt with an underscore for its dash.")
    return found


def _misspelt(name: bytes, identity: frozenset[bytes]) -> bool:
    if name in identity:
        return False
    # The other way round where the operator's own name has an underscore.
    return b"_" in name or any(
        b"_" in own and own.replace(b"_", b"-") == name for own in identity
    )


def _check_options(
    fields: dict[bytes, list[bytes]], identity: frozenset[bytes]
) -> None:
    if b"connection" not in fields:
        return
    options = b",".join(fields[b"connection"]).lower().split(b",")
    if not (identity | _ALWAYS_IDENTITY).isdisjoint(map(bytes.strip, options)):
        raise Malformed("Connection names a header that says whose request it is.")


def _check_host(fields: dict[bytes, list[bytes]], *, old: bool) -> None:
    hosts = fields.get(b"host", [])
    if len(hosts) > 1 or not (hosts or old):
        raise Malformed("The request must have exactly one Host.")
    if hosts and not _HOST.fullmatch(hosts[0].strip(b" \t")):
        raise Malformed("The Host of the request is malformed.")


def _framing(fields: dict[bytes, list[bytes]], *, old: bool) -> int:
    codings = fields.get(b"transfer-encoding", [])
    lengths = fields.get(b"content-length", [])
    if codings:
        if lengths:
            raise Malformed("Transfer-Encoding stands beside Content-Length.")
        if old:
            raise Malformed("HTTP/1.0 has no Transfer-Encoding.")
        if len(codings) > 1 or codings[0] not in (b"chunked", b" chunked"):
            raise Malformed("Transfer-Encoding is not exactly 'chunked'.")
        return CHUNKED
    if len(lengths) > 1:
        raise Malformed("Content-Length stands there more than once.")
    if not lengths:
        return 0
    if not _LENGTH.fullmatch(length := lengths[0].strip(b" ")):
        raise Malformed("Content-Length is not a plain number.")
    return int(length)


def _tunnel(method: bytes, fields: dict[bytes, list[bytes]], length: int) -> int:
    """Say TUNNEL when the request asks for a WebSocket, else 0."""
    upgrades = fields.get(b"upgrade", [])
    options = b",".join(fields.get(b"connection", [])).lower().split(b",")
    if Counter(map(bytes.strip, options))[b"upgrade"] == 0 or not upgrades:
        return 0
    if upgrades[0].strip().lower() != b"websocket" and len(upgrades) == 1:
        return 0
    if len(upgrades) > 1 or method != b"GET" or length:
        raise Malformed("The request for a WebSocket is malformed.")
    return TUNNEL
