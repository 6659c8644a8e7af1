# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The key that a caller sent: read, checked, and judged.

``"abc"`` (draft-ietf-httpapi-idempotency-key-header: a String of RFC 9651) and
``abc`` (what most clients send) are the same key. Nothing here echoes a key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keyonce.core.policy import KeyFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_KEY: Final = 255

_SHORT: Final = 8

_BARE: Final = re.compile(rb"[\x21\x23-\x2b\x2d-\x7e]+")
_PLAIN: Final = re.compile(rb"[\x21\x23-\x2b\x2d-\x7e]{1,%d}" % MAX_KEY)
_VISIBLE: Final = re.compile(rb"[\x20-\x7e]+")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_COUNTER: Final = re.compile(r"(?:[^0-9]*[-_.:/#]|[a-z]+|[A-Z]+)[0-9]{1,6}")

# RFC 9651, 3.3.3: visible ASCII and space; only quote and backslash are escaped.
_STRING: Final = rb'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"'
# RFC 9651, 3.3: the values that a parameter may have. Its text is thrown away.
_BARE_ITEM: Final = (
    rb"(?:"
    rb"-?[0-9]{1,12}\.[0-9]{1,3}|@?-?[0-9]{1,15}"
    rb'|"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
    rb"|[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*"
    rb"|:(?:(?:[A-Za-z0-9+/]{4})*[A-Za-z0-9+/]{2,4}={0,2})?:"
    rb"|\?[01]"
    rb'|%"(?:[\x20\x21\x23\x24\x26-\x7e]|%[0-9a-f]{2})*"'
    rb")"
)
_PARAMETER: Final = rb"; *[a-z*][a-z0-9_\-.*]*(?:=" + _BARE_ITEM + rb")?"
_QUOTED: Final = re.compile(_STRING + rb"(?:" + _PARAMETER + rb")*")
_ESCAPED: Final = re.compile(rb"\\(.)")


@dataclass(frozen=True, slots=True)
class BadKey:
    """Why a key is refused and what to send instead, in sentences."""

    detail: str


def parse_key(
    values: Sequence[bytes], key_format: KeyFormat = KeyFormat.ANY
) -> str | BadKey:
    """Read the key from the values of its field lines.

    Gives the key unquoted: 1 to 255 characters of visible ASCII, with space and
    comma only where it was quoted.
    """
    if len(values) != 1:
        return _ONE_LINE
    if key_format is KeyFormat.ANY and _PLAIN.fullmatch(values[0]):
        return values[0].decode("ascii")  # what most clients send
    value = values[0].strip(b" \t")
    if not value:
        return _EMPTY
    if value[:1] == b'"':
        key = _unquoted(value)
    elif key_format is KeyFormat.QUOTED:
        return _NOT_QUOTED
    else:
        key = value if _BARE.fullmatch(value) else _bare_fault(value)
    return key if isinstance(key, BadKey) else _checked(key, key_format)


def _unquoted(value: bytes) -> bytes | BadKey:
    string = _QUOTED.fullmatch(value)
    if string is None:
        return _BAD_QUOTES if _VISIBLE.fullmatch(value) else _CHARACTERS
    return _ESCAPED.sub(rb"\1", string[1])


def _bare_fault(value: bytes) -> BadKey:
    return _SEPARATORS if _VISIBLE.fullmatch(value) else _CHARACTERS


def _checked(key: bytes, key_format: KeyFormat) -> str | BadKey:
    if not key:
        return _EMPTY
    if len(key) > MAX_KEY:
        return _TOO_LONG
    text = key.decode("ascii")
    if key_format is KeyFormat.UUID and not _UUID.fullmatch(text):
        return _NO_UUID
    return text


def weakness(key: str) -> str | None:
    """Say why *key* looks badly made, if it does; never a reason to refuse it.

    ``numeric``: only digits. ``sequential``: words and a small counter.
    ``short``: fewer than 8 characters. ``repetitive``: mostly one character, as
    the nil UUID. All can meet again by accident, or be guessed.
    """
    if key.isdecimal():
        return "numeric"
    if len(key) < _SHORT:
        return "short"
    if _COUNTER.fullmatch(key):
        return "sequential"
    if key.count(key[0]) * 2 > len(key):
        return "repetitive"
    return None


_ONE_LINE: Final = BadKey(
    "The idempotency key must be on exactly one field line. Send the header once."
)
_EMPTY: Final = BadKey(
    "The idempotency key is empty. Send a fresh random value, such as a UUID, and "
    "the same one with every retry of this operation."
)
_TOO_LONG: Final = BadKey(
    f"The idempotency key is longer than {MAX_KEY} characters. Send a shorter one."
)
_CHARACTERS: Final = BadKey(
    "The idempotency key holds a control character or one outside ASCII. "
    "Use visible ASCII characters only."
)
_SEPARATORS: Final = BadKey(
    "The idempotency key holds a space, a comma or a quote. Send one key without "
    "them, or put the key in double quotes, with any quote or backslash in it "
    "behind a backslash."
)
_BAD_QUOTES: Final = BadKey(
    "The idempotency key begins with a double quote and is no well-formed quoted "
    "string. Send one key, in quotes that are closed, with any quote or backslash "
    "in it behind a backslash; or send it without quotes."
)
_NOT_QUOTED: Final = BadKey(
    "The idempotency key must be a quoted string here. Put it in double quotes."
)
_NO_UUID: Final = BadKey(
    "The idempotency key must be a UUID here, written as 8-4-4-4-12 hexadecimal "
    "digits. Send a fresh one per operation and the same one with every retry."
)
