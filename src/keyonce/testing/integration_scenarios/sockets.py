# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A caller for guarded apps behind a real server, one connection for each call."""

from __future__ import annotations

import socket
import struct
from http.client import HTTPException, HTTPResponse, IncompleteRead
from typing import TYPE_CHECKING, Final

from keyonce.testing.integration_scenarios.messages import Reply, lower

if TYPE_CHECKING:
    from keyonce.testing.integration_scenarios.messages import Request

ANSWERED_WITHIN: Final = 60.0
PIECE: Final = 60_000
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class SocketCaller:
    """Calls whatever listens at *host* and *port*."""

    def __init__(self, host: str, port: int) -> None:
        """Call there."""
        self._address = (host, port)

    def start(self, request: Request) -> SocketCall:
        """Send *request*."""
        line = socket.create_connection(self._address, timeout=ANSWERED_WITHIN)
        return SocketCall(line, request)

    def close(self) -> None:
        """Do nothing: each call has its own connection."""


class SocketCall:
    """One request on its own connection."""

    def __init__(self, line: socket.socket, request: Request) -> None:
        """Send *request* on *line*."""
        self._line = line
        self._method = request.method
        self._response: HTTPResponse | None = None
        self._read = b""
        line.sendall(_written(request))

    def _begun(self) -> HTTPResponse:
        if self._response is None:
            self._response = HTTPResponse(self._line, method=self._method)
            self._response.begin()
        return self._response

    def read(self, size: int) -> bytes:
        """Wait for the next *size* bytes of the answer's body."""
        piece = self._begun().read(size)
        self._read += piece
        return piece

    def reply(self) -> Reply:
        """Wait for the rest of the answer."""
        cut_off = False
        try:
            response = self._begun()
        except (HTTPException, OSError):
            self._line.close()
            return Reply(500, (), b"", cut_off=True)
        try:
            rest = response.read()
        except IncompleteRead as broken:
            rest, cut_off = broken.partial, True
        except OSError:
            rest, cut_off = b"", True
        headers = tuple(
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in response.getheaders()
        )
        self._close()
        return Reply(response.status, lower(headers), self._read + rest, cut_off)

    def hang_up(self) -> None:
        """Go away without waiting for the rest: reset the connection."""
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._close()

    def _close(self) -> None:
        if self._response is not None:
            self._response.close()
        self._line.close()


def _written(request: Request) -> bytes:
    head = [f"{request.method} {request.target} HTTP/1.1", "Host: guarded.test"]
    head.extend(f"{name}: {value}" for name, value in request.headers)
    head.append("Connection: close")
    if request.chunked:
        head.append("Transfer-Encoding: chunked")
    else:
        head.append(f"Content-Length: {len(request.body)}")
    body = _chunked(request.body) if request.chunked else request.body
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def _chunked(body: bytes) -> bytes:
    pieces = [body[at : at + PIECE] for at in range(0, len(body), PIECE)]
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    return b"".join([*chunks, b"0\r\n\r\n"])
