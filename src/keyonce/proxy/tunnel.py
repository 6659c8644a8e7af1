# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A WebSocket handed through: messages both ways, and the end with its code."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keyonce.proxy.connector import Parting, Refusal
from keyonce.proxy.wire import end_to_end, for_websocket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from keyonce.proxy.connector import Connector, Outgoing, Tunnel

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]


async def tunnel(
    connector: Connector,
    request: Outgoing,
    scope: MutableMapping[str, Any],
    receive: Receive,
    send: Send,
) -> None:
    """Open the same WebSocket upstream, then carry messages until one side ends."""
    await receive()  # websocket.connect
    plain = replace(request, headers=for_websocket(request.headers))
    try:
        far = await connector.open(plain, list(scope.get("subprotocols", ())))
    except Refusal as refusal:
        await _refuse(scope, send, refusal)
        return
    headers = for_websocket(end_to_end(far.headers))
    await send(
        {
            "type": "websocket.accept",
            "subprotocol": far.subprotocol,
            "headers": [pair for pair in headers if pair[0] != b"content-length"],
        }
    )
    await _carry(far, receive, send)


async def _refuse(
    scope: MutableMapping[str, Any], send: Send, refusal: Refusal
) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    # The body of the upstream's answer is gone, so what describes it goes as well.
    described = (b"content-length", b"content-encoding", b"content-type")
    headers = [pair for pair in end_to_end(refusal.headers) if pair[0] not in described]
    await send(
        {
            "type": "websocket.http.response.start",
            "status": refusal.status,
            "headers": [*headers, (b"content-length", b"0")],
        }
    )
    await send({"type": "websocket.http.response.body", "body": b""})


async def _carry(far: Tunnel, receive: Receive, send: Send) -> None:
    up = asyncio.create_task(_up(far, receive))
    down = asyncio.create_task(_down(far, send))
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        await far.close(Parting(1001))


async def _up(far: Tunnel, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            parting = Parting(message.get("code", 1005), message.get("reason") or "")
            await far.close(parting)
            return
        text = message.get("text")
        await far.send(message["bytes"] if text is None else text)


async def _down(far: Tunnel, send: Send) -> None:
    while True:
        match await far.receive():
            case str() as text:
                await send({"type": "websocket.send", "text": text})
            case bytes() as data:
                await send({"type": "websocket.send", "bytes": data})
            case Parting(code, reason):
                # 1005 and 1006 may not be sent (RFC 6455 §7.4.1).
                sendable = {1005: 1000, 1006: 1011}.get(code, code)
                await send(
                    {"type": "websocket.close", "code": sendable, "reason": reason}
                )
                return
