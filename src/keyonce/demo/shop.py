# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The toy shop: a plain ASGI service that charges, books and mails.

It knows nothing of idempotency keys. Each request has one effect, committed in
the middle of the handler, so that a kill can come before it or after it. One
process of it is ``python -m keyonce.demo.shop --fd N --ledger PATH``: several
share the listening socket. On its standard output it says ``ready``, and
``holding NAME`` when an operation waits for its worker to be killed; when its
standard input ends it stops, so that it never outlives whoever started it.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from keyonce.demo.ledger import Effect, Ledger
from keyonce.demo.plan import Shape

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

KINDS = {"/payments": "charge", "/bookings": "booking", "/mails": "mail"}
LONGEST_HOLD = 20.0
PIECES = 6


class Shop:
    """The ASGI application of one worker."""

    def __init__(self, ledger: Ledger, say: Callable[[str], None]) -> None:
        """Act on *ledger* and tell the driver by *say*."""
        self._ledger = ledger
        self._say = say

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._say("ready")
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if method == "POST" and path in KINDS:
            await self._order(KINDS[path], receive, send)
        elif method == "GET" and path.startswith("/effects/"):
            effects = self._ledger.effects(path.removeprefix("/effects/"))
            await _answer(send, 200, [effect._asdict() for effect in effects])
        else:
            await _answer(send, 404, {"error": "There is no such thing in this shop."})

    async def _order(self, kind: str, receive: Receive, send: Send) -> None:
        """Think, act, think again, answer."""
        try:
            order = json.loads(await _body(receive))
            operation, amount = str(order["operation"]), int(order["amount"])
            work_for = min(float(order.get("work_for", 0.0)), LONGEST_HOLD)
        except (ValueError, KeyError, TypeError, AttributeError):
            await _answer(send, 400, {"error": "Send an operation and an amount."})
            return
        held = order.get("hold")
        if held and not self._ledger.hold(operation):
            held = None
        if held == "before":
            await self._wait_for_the_end(operation, receive)
        await asyncio.sleep(work_for / 2)
        effect = Effect(operation, kind, amount, secrets.token_hex(8), os.getpid())
        self._ledger.act(effect)
        if held == "after":
            await self._wait_for_the_end(operation, receive)
        await asyncio.sleep(work_for / 2)
        await _confirm(send, effect, order.get("shape", Shape.SMALL))

    async def _wait_for_the_end(self, operation: str, receive: Receive) -> None:
        """Wait to be killed, or for whoever asked to be gone."""
        self._say(f"holding {operation}")
        async with asyncio.timeout(LONGEST_HOLD):
            while (await receive())["type"] != "http.disconnect":
                pass


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


async def _confirm(send: Send, effect: Effect, shape: str) -> None:
    """Answer with a receipt that no other execution will ever give."""
    receipt: dict[str, Any] = effect._asdict()
    if shape != Shape.SMALL:
        receipt["terms"] = [f"{effect.receipt} § {n}: be kind." for n in range(2_000)]
    if shape == Shape.STREAMED:
        await _stream(send, json.dumps(receipt).encode())
    else:
        await _answer(send, 201, receipt)


async def _answer(send: Send, status: int, value: object) -> None:
    body = json.dumps(value).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    step = len(body) // PIECES + 1
    for at in range(0, len(body), step):
        piece = body[at : at + step]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0.002)
    await send({"type": "http.response.body", "body": b""})


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def _work(listening: socket.socket, ledger: Ledger) -> None:
    """Serve until a signal comes or whoever holds our standard input is gone."""
    server = uvicorn.Server(
        uvicorn.Config(
            Shop(ledger, _say),
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=2,
        )
    )

    def leave() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            server.should_exit = True

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), leave)
    await server.serve(sockets=[listening])


def main() -> None:
    """Run one worker of the shop."""
    parser = ArgumentParser(description="One worker of the toy shop.")
    parser.add_argument("--fd", type=int, required=True, help="the listening socket")
    parser.add_argument("--ledger", type=Path, required=True, help="the database")
    options = parser.parse_args()
    ledger = Ledger(options.ledger)
    try:
        asyncio.run(_work(socket.socket(fileno=options.fd), ledger))
    finally:
        ledger.close()


if __name__ == "__main__":
    main()
