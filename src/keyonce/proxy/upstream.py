# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The ASGI app behind the guard: it hands every request on to the upstream."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from keyonce.http.steer import read_steering
from keyonce.proxy.connector import (
    Outgoing,
    UpstreamBroke,
    UpstreamCutOff,
    UpstreamUnreachable,
)
from keyonce.proxy.failures import log_failure
from keyonce.proxy.tunnel import tunnel
from keyonce.proxy.wire import end_to_end, outgoing
from keyonce.telemetry.printable import escape

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        MutableMapping,
    )

    from keyonce.http.messages import Headers
    from keyonce.proxy.config_values import Network
    from keyonce.proxy.connector import Answer, Connector

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]


logger = logging.getLogger("keyonce")


class CallerGone(Exception):
    """The caller hung up while its request was still coming in."""


class UpstreamApp:
    """Forwards over *connect*'s connector, which is made in the first request's loop.

    Request and response stream; header lines keep their order and duplicates. A
    caller that hangs up ends the exchange, unless its *receive* does not say so: in
    guarded work it never does.

    Raises:
        UpstreamUnreachable: nothing was sent.
        UpstreamBroke: the upstream broke off, before or in the middle of its answer.
    """

    def __init__(
        self,
        connect: Callable[[], Connector],
        *,
        trusted: tuple[Network, ...] = (),
    ) -> None:
        """Connect to nothing yet."""
        self._connect = connect
        self._connector: Connector | None = None
        self._trusted = trusted
        self._callers: set[_Caller] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if self._connector is None:
            self._connector = self._connect()
        try:
            await self._carry(self._connector, scope, receive, send)
        except (UpstreamUnreachable, UpstreamBroke) as failure:
            # Here, since a guard in between may make an answer of it.
            log_failure(scope, failure)
            raise

    async def _carry(
        self, connector: Connector, scope: Scope, receive: Receive, send: Send
    ) -> None:
        match scope["type"]:
            case "http":
                await self._exchange(connector, scope, receive, send)
            case "websocket":
                headers = self._headers(scope)
                request = Outgoing("GET", target_of(scope), headers)
                await tunnel(connector, request, scope, receive, send)
            case other:
                message = f"An upstream has no {other!r} connections."
                raise RuntimeError(message)

    def cut_off(self) -> None:
        """End every exchange under way, as UpstreamCutOff."""
        for caller in tuple(self._callers):
            caller.cut_off()

    async def close(self) -> None:
        """Close every connection to the upstream."""
        if self._connector is not None:
            await self._connector.close()

    async def _exchange(
        self, connector: Connector, scope: Scope, receive: Receive, send: Send
    ) -> None:
        request = Outgoing(scope["method"], target_of(scope), self._headers(scope))
        caller = _Caller(receive, uploads=_has_body(scope["headers"]))
        with suppress(CallerGone):
            async with self._known(caller), caller.listening():
                body = caller.upload() if caller.uploads else None
                answer = await connector.send(request, body)
                try:
                    await _pass_on(answer, send)
                finally:
                    answer.close()

    @asynccontextmanager
    async def _known(self, caller: _Caller) -> AsyncIterator[None]:
        self._callers.add(caller)
        try:
            yield
        finally:
            self._callers.discard(caller)

    def _headers(self, scope: Scope) -> Headers:
        client = scope.get("client")
        return outgoing(
            scope["headers"],
            client=client[0] if client else None,
            scheme=scope["scheme"].replace("ws", "http"),
            trusted=self._trusted,
        )


def target_of(scope: Scope) -> str:
    """Give path and query of *scope* as they were received."""
    path: str = scope["raw_path"].decode("ascii")
    query: bytes = scope.get("query_string", b"")
    return f"{path}?{query.decode('ascii')}" if query else path


class _Caller:
    """Who sent the request: its body on the way up, and whether it is still there."""

    def __init__(self, receive: Receive, *, uploads: bool) -> None:
        self.uploads = uploads
        self._receive = receive
        self._whole = asyncio.Event()
        self._gone = False
        self._cut = False
        self._block: asyncio.Task[Any] | None = None

    async def upload(self) -> AsyncIterator[bytes]:
        """Give the body as it comes in."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._hang_up()
                raise CallerGone
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]
        self._whole.set()

    def cut_off(self) -> None:
        """End the block with UpstreamCutOff: nobody may wait any longer."""
        if not (self._gone or self._cut) and self._block:
            self._cut = True
            self._block.cancel()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """End the block with CallerGone as soon as the caller hangs up."""
        self._block = asyncio.current_task()
        listener = asyncio.create_task(self._listen())
        try:
            yield
        except asyncio.CancelledError:
            if self._gone and self._block and self._block.uncancel() == 0:
                raise CallerGone from None
            if self._cut and self._block and self._block.uncancel() == 0:
                message = "Draining ended before the upstream answered."
                raise UpstreamCutOff(message) from None
            raise
        except UpstreamBroke:
            # An upload that ends early looks like a broken upstream to the client.
            if self._gone:
                raise CallerGone from None
            raise
        finally:
            listener.cancel()

    async def _listen(self) -> None:
        if self.uploads:
            await self._whole.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._hang_up()

    def _hang_up(self) -> None:
        if not (self._gone or self._cut) and self._block:
            self._gone = True
            self._block.cancel()


def _has_body(headers: Headers) -> bool:
    for name, value in headers:
        if name == b"transfer-encoding" or (
            name == b"content-length" and value != b"0"
        ):
            return True
    return False


async def _pass_on(answer: Answer, send: Send) -> None:
    for warning in read_steering(answer.headers).warnings:
        logger.warning("%s", escape(warning))
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": list(end_to_end(answer.headers)),
        }
    )
    async for piece in answer.pieces():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
