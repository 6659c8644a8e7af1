# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Requests and responses as values, whatever server they came through."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Headers = tuple[tuple[bytes, bytes], ...]

NO_CONTEXT: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RequestHead:
    """All of a request but its body.

    Header names are lower-case, in order and with duplicates. *raw_path* is the
    path as received, percent-escapes included; *context* is the ASGI scope or
    WSGI environ, for scope functions of the author's own.
    """

    method: str
    raw_path: bytes
    query: bytes = b""
    headers: Headers = ()
    context: Mapping[str, Any] = field(
        default_factory=lambda: NO_CONTEXT, repr=False, compare=False
    )

    def values(self, name: bytes) -> list[bytes]:
        """Give every value of header *name* (lower-case), one per field line."""
        return [value for header, value in self.headers if header == name]


class Body(Protocol):
    """A whole body, in memory or in a file."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes in pieces, from the start, each time anew."""

    def close(self) -> None:
        """Forget the bytes. Closing twice is fine."""


@dataclass(frozen=True, slots=True)
class BytesBody:
    """A body in memory."""

    data: bytes = b""

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes in one piece, or none when empty."""
        if self.data:
            yield self.data

    def close(self) -> None:
        """Do nothing: memory needs no closing."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response."""

    status: int
    headers: Headers = ()
    body: bytes = b""
