# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What scenarios send and get, whatever carries it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from keyonce.http.messages import Headers

# Made afresh for each answer, by us or by the server.
FRESH: Final = frozenset(
    {
        b"date",
        b"server",
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"idempotency-replayed",
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. *chunked* sends the body without saying its length."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    chunked: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, as its reader got it.

    Header names are lower-case. *cut_off*: the connection ended before the answer.
    """

    status: int
    headers: Headers
    body: bytes
    cut_off: bool = False

    def header(self, name: str) -> str | None:
        """Give the value of header *name*, which is there at most once."""
        found = [value for key, value in self.headers if key == name.lower().encode()]
        assert len(found) <= 1, f"{name} is there {len(found)} times"
        return found[0].decode("latin-1") if found else None

    def has(self, name: str) -> bool:
        """Whether header *name* is there."""
        return any(key == name.lower().encode() for key, _ in self.headers)

    @property
    def replayed(self) -> bool:
        """Whether the answer says that it is a replay."""
        return self.header("Idempotency-Replayed") == "true"

    @property
    def code(self) -> str | None:
        """The code of the problem, if the answer is one of ours."""
        if self.header("Content-Type") != "application/problem+json":
            return None
        code = self.json().get("code")
        assert code is None or isinstance(code, str)
        return code

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)

    def lasting(self) -> tuple[int, Headers, bytes]:
        """Give what has to be the same in every answer to a key."""
        headers = tuple(pair for pair in self.headers if pair[0] not in FRESH)
        return self.status, headers, self.body


class Call(Protocol):
    """A request that has been sent and is being answered."""

    def read(self, size: int) -> bytes:
        """Wait for the next *size* bytes of the answer's body."""

    def reply(self) -> Reply:
        """Wait for the rest of the answer."""

    def hang_up(self) -> None:
        """Go away without waiting for the rest."""


class Caller(Protocol):
    """A way to reach a guarded app. Used from many threads at once."""

    def start(self, request: Request) -> Call:
        """Send *request* on a connection of its own."""

    def close(self) -> None:
        """Take down what was put up for the calls."""


def lower(headers: Headers) -> Headers:
    """Give *headers* with names in lower case."""
    return tuple((name.lower(), value) for name, value in headers)
