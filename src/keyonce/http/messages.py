# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Requests and responses as values, whatever server they came through."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Headers = tuple[tuple[bytes, bytes], ...]

NO_CONTEXT: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(slots=True)  # not frozen: one is made of every request
class RequestHead:
    """All of a request but its body. Nobody changes it.

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
    _by_name: dict[bytes, list[bytes]] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def values(self, name: bytes) -> Sequence[bytes]:
        """Give every value of header *name* (lower-case), one per field line."""
        if self._by_name is None:
            self._by_name = _by_name(self.headers)
        return self._by_name.get(name, ())


def _by_name(headers: Headers) -> dict[bytes, list[bytes]]:
    by_name = {name: [value] for name, value in headers}
    if len(by_name) != len(headers):
        by_name = {name: [] for name in by_name}
        for name, value in headers:
            by_name[name].append(value)
    return by_name


class Body(Protocol):
    """A whole body, in memory or in a file."""

    @property
    def size(self) -> int:
        """How many bytes it has."""

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes in pieces, from the start, each time anew."""

    def close(self) -> None:
        """Forget the bytes. Closing twice is fine."""


@dataclass(slots=True, eq=False)  # not frozen: two are made for every request
class BytesBody:
    """A body in memory. Nobody changes it."""

    data: bytes = b""
    spilled: ClassVar = False

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes in one piece, or none when empty."""
        if self.data:
            yield self.data

    def read(self) -> bytes:
        """Give all the bytes."""
        return self.data

    def close(self) -> None:
        """Do nothing: memory needs no closing."""


@dataclass(slots=True)  # not frozen: one is made for every request
class Response:
    """A whole response. Nobody changes it."""

    status: int
    headers: Headers = ()
    body: bytes = b""
