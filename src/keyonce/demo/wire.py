# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""One HTTP exchange over a socket of its own, which may be cut where it hurts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 1 << 20


class Address(NamedTuple):
    """Where a service listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as a caller writes it."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole: names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the socket so many seconds after the request was sent."""

    after: float


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """Close the socket when the answer begins to arrive, and read none of it."""


Cut = HangUp | LoseAnswer | None


async def exchange(
    address: Address, request: Request, *, cut: Cut = None, patience: float = 10.0
) -> Answer | None:
    """Send *request* and give the whole answer, or None when it never came whole.

    *patience* bounds the exchange in seconds. Whether the service acted is not
    known after None.
    """
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(*address, limit=LIMIT)
            try:
                writer.write(_written(address, request))
                return await _outcome(reader, cut)
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError, ValueError):
        return None


async def _outcome(reader: asyncio.StreamReader, cut: Cut) -> Answer | None:
    match cut:
        case None:
            return await _read(reader)
        case HangUp(after):
            await asyncio.sleep(after)
            return None
        case LoseAnswer():
            await reader.read(1)
            return None


def _written(address: Address, request: Request) -> bytes:
    lines = [
        f"{request.method} {request.path} HTTP/1.1",
        f"Host: {address.host}:{address.port}",
        "Connection: close",
        f"Content-Length: {len(request.body)}",
        *(f"{name}: {value}" for name, value in request.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + request.body


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    status = int(head[0].split(" ")[1])
    return Answer(status, headers, await _body(reader, headers))


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    """Read a body that says its own end; one that is cut off raises EOFError."""
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    pieces = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    return b"".join(pieces)
