# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The ``match`` of a rule: how it is written and which requests it means.

``[METHOD[,METHOD…]] /path``, where a segment of the path is a literal, ``*`` or
``{name}`` for any one segment that is not empty, or at the end ``**`` for any rest,
also none: ``/orders/**`` matches ``/orders`` and all below it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keyonce.core.errors import ConfigurationError
from keyonce.http.rawpath import normal_path

GUARDABLE: Final = ("POST", "PATCH", "PUT", "DELETE")
BY_DEFAULT: Final = ("POST", "PATCH")
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
ONE: Final = "*"
REST: Final = "**"

_NAMED: Final = re.compile(r"\{[^{}/]*\}").fullmatch
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Methods, and the segments of a path.

    Literal segments are spelled as ``normal_path`` does; the others are ONE or,
    as the last, REST. *path* is the path as it was written.
    """

    methods: tuple[str, ...]
    segments: tuple[str, ...]
    path: str

    def regex(self) -> str:
        """Give the regular expression that a whole normal path must match."""
        if self.segments == (REST,):
            return ".*"
        return "".join(_WILD.get(part, f"/{re.escape(part)}") for part in self.segments)

    def covers(self, other: Pattern) -> bool:
        """Whether every request that *other* means is meant by this one too."""
        if not set(other.methods) <= set(self.methods):
            return False
        for index, part in enumerate(self.segments):
            if part == REST:
                return True
            if index == len(other.segments) or not _takes(part, other.segments[index]):
                return False
        return len(self.segments) == len(other.segments)


_WILD: Final = {ONE: "/[^/]+", REST: "(?:/.*)?"}


def _takes(part: str, other: str) -> bool:
    return part == other or (part == ONE and other not in {REST, ""})


def parse_match(match: str) -> Pattern:
    """Read a rule's *match*.

    Raises:
        ConfigurationError: it cannot be read; the message says what to write.
    """
    before, slash, rest = match.strip().partition("/")
    if not slash:
        message = (
            f"match is like 'POST /payments' or 'POST,PATCH /**', not {match!r}: "
            "there is no path in it."
        )
        raise ConfigurationError(message)
    path = slash + rest
    methods = tuple(
        _method(word, match) for word in re.split(r"[,\s]+", before) if word
    )
    if not methods and before.strip():
        raise ConfigurationError(f"match {match!r} names no method before its path.")
    return Pattern(methods or BY_DEFAULT, _segments(path, match), path)


def _method(word: str, match: str) -> str:
    method = word.upper()
    if method in SAFE:
        message = (
            f"match {match!r} names {method}, which changes nothing by its meaning and "
            "is never guarded. Leave it out."
        )
        raise ConfigurationError(message)
    if method not in GUARDABLE:
        message = (
            f"match {match!r} names {word!r}: the methods that can be guarded are "
            f"{', '.join(GUARDABLE)}."
        )
        raise ConfigurationError(message)
    return method


def _segments(path: str, match: str) -> tuple[str, ...]:
    if re.search(r"[?#\s]", path) or _BROKEN_ESCAPE(path):
        message = (
            f"match {match!r}: a path has no white space, '?' or '#', and '%' stands "
            "before two hexadecimal digits. Rules look at the path only, not at the "
            "query."
        )
        raise ConfigurationError(message)
    parts = path[1:].split("/")
    segments = tuple(_segment(part, match) for part in parts)
    if REST in segments[:-1]:
        message = f"match {match!r}: '**' stands for any rest, so it comes last."
        raise ConfigurationError(message)
    return segments


def _segment(part: str, match: str) -> str:
    if part in {ONE, REST}:
        return part
    if part.endswith(":path}") or re.search("[<>]", part):
        message = (
            f"match {match!r}: {part!r} is a router's way of writing. Any one "
            "segment is '{name}' or '*' here, and any rest is '**' at the end."
        )
        raise ConfigurationError(message)
    if _NAMED(part):
        return ONE
    if re.search(r"[*{}]", part):
        message = (
            f"match {match!r}: the segment {part!r} mixes text and wildcard. A segment "
            "is a text, '*', '{name}', or '**' at the end."
        )
        raise ConfigurationError(message)
    # What a browser makes of 'é': clients send the escapes of its UTF-8 bytes.
    escaped = _NOT_ASCII.sub(lambda m: b"%%%02X" % m.group()[0], part.encode())
    return normal_path(escaped)
