# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A stored result as bytes and back, for stores that keep one blob.

    frame   = version:1 flags:1 status:2 headers:2 [size:8] lengths texts [seal] body
              crc:4
    lengths = (name:2 value:4)*
    texts   = (name value)*
    seal    = length:1 key-id

Numbers are big-endian, but for the CRC-32 of all before it: written the other
way round, it makes the CRC of every whole frame one constant. A frame is a
contract with every later version of this program: what was written once stays
readable.
"""

from __future__ import annotations

import struct
from binascii import crc32
from itertools import chain
from typing import TYPE_CHECKING, Final

from keyonce.core.errors import RecordUnreadable, StoreError
from keyonce.core.model import StoredResult

if TYPE_CHECKING:
    from collections.abc import Iterable

_VERSION: Final = 1
_KEPT: Final = 1
_SIZED: Final = 2  # the size is not the length of the body
_SEALED: Final = 4  # the body is an envelope: the id of its key is told
_FLAGS: Final = _KEPT | _SIZED | _SEALED

_LONGEST_NAME: Final = 255

_HEAD: Final = struct.Struct(">BBHH")
_SIZE: Final = struct.Struct(">Q")
_CRC: Final = struct.Struct("<I")
_WHOLE: Final = 0x2144DF1C  # CRC-32 of anything followed by its own CRC-32

_TOKEN: Final = (
    b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
_BREAKS: Final = b"\r\n\0"
_STATUSES: Final = frozenset({0, *range(100, 1000)})  # 0: of a function


def encode(result: StoredResult) -> bytes:
    """Write *result* as one frame.

    Raises:
        StoreError: it is no outcome that could be sent: a status that is none,
            a header name that is no token, a line break or NUL in a header
            value, or a body that is said not to be kept.
    """
    texts = [*chain.from_iterable(result.headers)]
    joined = b"".join(texts)
    if (fault := _fault(result, texts, joined)) is not None:
        raise StoreError(f"This outcome cannot be stored: {fault}.")
    body, count = result.body, len(result.headers)
    flags, layout = _KEPT if result.kept else 0, _HEAD.format + "HI" * count
    numbers: Iterable[int] = map(len, texts)
    if result.size != len(body):
        flags, layout = flags | _SIZED, _HEAD.format + "Q" + "HI" * count
        numbers = chain((result.size,), numbers)
    if result.sealed:
        flags, joined = flags | _SEALED, joined + _named(result.sealed)
    try:
        head = struct.pack(layout, _VERSION, flags, result.status, count, *numbers)
    except struct.error:
        raise StoreError(
            "This outcome cannot be stored: its headers or its size are too large."
        ) from None
    head += joined
    return b"".join((head, body, _CRC.pack(crc32(body, crc32(head)))))


def decode(data: bytes) -> StoredResult:
    """Read one frame, trusting nothing in it.

    Raises:
        RecordUnreadable: it is torn, forged, or was written by a newer version.
    """
    try:
        return _decode(data)
    except struct.error:
        raise RecordUnreadable("A stored outcome is torn: its end is gone.") from None


def _decode(data: bytes) -> StoredResult:
    version, flags, status, count = _HEAD.unpack_from(data)
    if version != _VERSION or flags & ~_FLAGS:
        raise RecordUnreadable(
            f"A stored outcome is of a kind ({version}, {flags}) that this version "
            "of keyonce does not read. A newer one wrote it, or it is damaged."
        )
    if crc32(data) != _WHOLE:
        raise RecordUnreadable("A stored outcome is torn: its checksum is wrong.")
    at = _HEAD.size
    size = None
    if flags & _SIZED:
        (size,) = _SIZE.unpack_from(data, at)
        at += _SIZE.size
    layout = ">" + "HI" * count
    lengths = struct.unpack_from(layout, data, at)
    start = at + struct.calcsize(layout)
    texts, end = _cut(data, start, lengths)
    if end > len(data) - _CRC.size:
        raise RecordUnreadable("A stored outcome is forged: a header has no end.")
    sealed, at = _seal(data, end) if flags & _SEALED else ("", end)
    body = data[at : -_CRC.size]
    headers = tuple(zip(texts[::2], texts[1::2], strict=True))
    if size is None:
        size = len(body)
    result = StoredResult(status, headers, body, bool(flags & _KEPT), size, sealed)
    if (fault := _fault(result, texts, data[start:end])) is not None:
        raise RecordUnreadable(f"A stored outcome is forged: {fault}.")
    return result


def _cut(data: bytes, at: int, lengths: Iterable[int]) -> tuple[list[bytes], int]:
    texts = []
    for length in lengths:
        end = at + length
        texts.append(data[at:end])
        at = end
    return texts, at


def _named(key_id: str) -> bytes:
    """Write the id of the key of an envelope.

    Raises:
        StoreError: it is none.
    """
    name = key_id.encode("ascii", "replace")
    if len(name) > _LONGEST_NAME or _no_name(name):
        raise StoreError("This outcome cannot be stored: its key has no proper id.")
    return bytes((len(name),)) + name


def _seal(data: bytes, at: int) -> tuple[str, int]:
    """Read the id of the key of an envelope, and where the envelope begins."""
    (length,) = struct.unpack_from("B", data, at)
    end = at + 1 + length
    name = data[at + 1 : end]
    if end > len(data) - _CRC.size or _no_name(name):
        raise RecordUnreadable("A stored outcome is forged: its key has no id.")
    return name.decode("ascii"), end


def _no_name(name: bytes) -> bool:
    return not name or bool(name.translate(None, _TOKEN))


def _fault(result: StoredResult, texts: list[bytes], joined: bytes) -> str | None:
    """Say what makes *result* no outcome, without its content.

    *texts* are its header names and values in turn, *joined* all of them.
    """
    if result.status not in _STATUSES:
        return "its status is not between 100 and 999"
    if result.body and not result.kept:
        return "it has a body that was not to be kept"
    if result.size < 0:
        return "its size is below zero"
    names = texts[::2]
    if b"" in names or b"".join(names).translate(None, _TOKEN):
        return "a header name is no token"
    if len(joined.translate(None, _BREAKS)) != len(joined):
        return "a header value holds a line break or NUL"
    return None
