# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What the proxy asks of an HTTP client, and how an upstream can fail it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from keyonce.core.errors import OutcomeUnknown, SafeToRetry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from keyonce.http.messages import Headers


class UpstreamUnreachable(SafeToRetry):
    """The upstream could not be connected to: nothing was sent, nothing ran."""

    status = 502


class UpstreamBroke(OutcomeUnknown):
    """The upstream broke off after it was sent the request: what it did is unclear."""

    status = 502


class UpstreamTimedOut(UpstreamBroke):
    """The upstream was silent for too long after it was sent the request."""

    status = 504


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as the upstream gets it. *target* is path and query, as received."""

    method: str
    target: str
    headers: Headers


class Answer(Protocol):
    """A response whose head is here and whose body is still to come."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def headers(self) -> Headers:
        """Every field line as received, in order."""

    def pieces(self) -> AsyncIterator[bytes]:
        """Give the body as it comes.

        Raises:
            UpstreamBroke: the body ended too early or fell silent.
        """

    def close(self) -> None:
        """Give the connection back, or cut it when the body was not read whole."""


class UpstreamCutOff(UpstreamBroke):
    """This side ended the exchange, before the upstream's answer was over."""


@dataclass(frozen=True, slots=True)
class Parting:
    """One side has closed a WebSocket, with this code and reason."""

    code: int = 1000
    reason: str = ""


class Tunnel(Protocol):
    """An open WebSocket to the upstream."""

    @property
    def subprotocol(self) -> str | None:
        """What the upstream chose of the offered subprotocols."""

    @property
    def headers(self) -> Headers:
        """The headers of the handshake's answer."""

    async def send(self, message: str | bytes) -> None:
        """Send one text or binary message."""

    async def receive(self) -> str | bytes | Parting:
        """Wait for the next message, or for the end."""

    async def close(self, parting: Parting) -> None:
        """Close with the code and reason of *parting*."""


class Refusal(Exception):
    """The upstream answered a WebSocket handshake with a plain response."""

    def __init__(self, status: int, headers: Headers) -> None:
        """Keep the head of that response; its body is not available."""
        super().__init__(f"The upstream refused the WebSocket with {status}.")
        self.status = status
        self.headers = headers


class Connector(Protocol):
    """An HTTP client that sends each request once, as it is told, and no more.

    It follows no redirect, keeps no cookie, decodes no body and never sends a
    request a second time. A kept-alive connection is used again only within one
    second, so that an upstream that drops idle connections is not raced.
    """

    async def send(
        self, request: Outgoing, body: AsyncIterator[bytes] | None
    ) -> Answer:
        """Send *request* and wait for the head of its response.

        Raises:
            UpstreamUnreachable: nothing was sent.
            UpstreamBroke: the connection broke, or nobody answered in time.
        """

    async def open(self, request: Outgoing, subprotocols: list[str]) -> Tunnel:
        """Open a WebSocket.

        Raises:
            Refusal: the upstream answered with something else.
            UpstreamUnreachable: nothing was sent.
            UpstreamBroke: the connection broke, or nobody answered in time.
        """

    async def close(self) -> None:
        """Close every connection."""
