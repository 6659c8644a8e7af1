# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The finished parts of unfinished work, as the bytes that a record keeps.

    frame = version:1 scheme digest (state:1 name value)* crc:4

Texts have their length in front, as four bytes; numbers are big-endian. The
fingerprint says which request the steps belong to: a released key forgets its
request, and another one must not find these.
"""

from __future__ import annotations

import struct
from binascii import crc32
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from keyonce.core.errors import RecordUnreadable
from keyonce.core.model import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSION: Final = b"\x01"
_LENGTH: Final = struct.Struct(">I")


class Progress(IntEnum):
    """How far a step got. The numbers are stored; never reuse one."""

    BEGUN = 1
    DONE = 2
    FAILED = 3
    CALLED = 4  # begun as well, and harmless to begin again


class Step(NamedTuple):
    """One part of the work: its name, how far it got, and what came of it."""

    name: str
    progress: Progress
    value: bytes = b""


class Steps(NamedTuple):
    """The steps of one request in the order in which they were begun."""

    fingerprint: Fingerprint
    taken: tuple[Step, ...] = ()


def write_steps(steps: Steps) -> bytes:
    """Write *steps* as one frame; nothing where none was taken."""
    if not steps.taken:
        return b""
    scheme, digest = steps.fingerprint
    parts = [_VERSION, _text(scheme.encode()), _text(digest)]
    for name, progress, value in steps.taken:
        parts += (bytes((progress,)), _text(name.encode()), _text(value))
    frame = b"".join(parts)
    return frame + _LENGTH.pack(crc32(frame))


def read_steps(frame: bytes) -> Steps | None:
    """Read one frame, trusting nothing in it; None where nothing was noted.

    Raises:
        RecordUnreadable: it is torn, forged, or was written by a newer version.
    """
    if not frame:
        return None
    body, crc = frame[:-4], frame[-4:]
    if frame[:1] != _VERSION or crc != _LENGTH.pack(crc32(body)):
        raise _unreadable()
    try:
        texts = _texts(body)
        fingerprint = Fingerprint(next(texts).decode(), next(texts))
        taken = tuple(_taken(texts))
    except (StopIteration, RuntimeError, ValueError, struct.error):
        raise _unreadable() from None
    return Steps(fingerprint, taken)


def _taken(texts: Iterator[bytes]) -> Iterator[Step]:
    for state in texts:
        yield Step(next(texts).decode(), Progress(state[0]), next(texts))


def _text(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def _texts(body: bytes) -> Iterator[bytes]:
    """Give scheme and digest, then state, name and value of each step."""
    at, count = 1, 0
    while at < len(body):
        is_state = count >= 2 and count % 3 == 2  # noqa: PLR2004 - scheme, digest
        size, start = (
            (1, at) if is_state else (_LENGTH.unpack_from(body, at)[0], at + 4)
        )
        at = start + size
        if at > len(body):
            raise ValueError(at)
        yield body[start:at]
        count += 1


def _unreadable() -> RecordUnreadable:
    return RecordUnreadable(
        "The steps of a record are torn, forged, or from a newer version of keyonce. "
        "Nothing was run; 'keyonce keys show' names the record."
    )
