# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""uvicorn's httptools protocol behind the scanner: doubtful bytes are never parsed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from keyonce.proxy.scanner import Malformed, Scanner

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from uvicorn.config import Config
    from uvicorn.server import ServerState

_REASONS = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}

logger = logging.getLogger("keyonce")


class StrictProtocol(HttpToolsProtocol):
    """Answers a malformed request with 400 and closes; nothing of it is run."""

    identity: ClassVar[frozenset[bytes]] = frozenset()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begin one connection."""
        super().__init__(config, server_state, app_state, _loop)
        self._scanner = Scanner(self.identity)
        self._in_head = False

    def data_received(self, data: bytes) -> None:
        """Scan *data*, and only then let it be parsed."""
        if self.transport.is_closing():
            return
        try:
            self._scanner.feed(data)
        except Malformed as fault:
            self._refuse(fault)
            return
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse what only the parser found, the way the scanner's finds are."""
        self._refuse(Malformed(msg))

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is over."""
        self._in_head = False
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; drop a trailer, which uvicorn would add to the headers."""
        if self._in_head:
            super().on_header(name, value)

    def _refuse(self, fault: Malformed) -> None:
        logger.warning("refused a malformed request: %s", fault.reason)
        # Never into the middle of an answer that is under way.
        idle = self.cycle is None or self.cycle.response_complete
        if idle or not (self.cycle.response_started or self.pipeline):
            self.transport.write(_answer(fault))
        self.transport.close()


def strict_about(names: frozenset[bytes]) -> type[StrictProtocol]:
    """Give the protocol that lets nobody tamper with the headers *names*."""

    class StrictAboutIdentity(StrictProtocol):
        identity = names

    return StrictAboutIdentity


def _answer(fault: Malformed) -> bytes:
    text = fault.reason.encode()
    return (
        b"HTTP/1.1 %d %b\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: %d\r\ncache-control: no-store\r\nconnection: close\r\n\r\n%b"
    ) % (fault.status, _REASONS[fault.status], len(text), text)
