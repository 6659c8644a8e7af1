# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The request side of the ASGI gateway: read whole, bounded, given on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from keyonce.http.messages import BytesBody, RequestHead
from keyonce.integrations.spool import SPILL_AT, Spool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping

    from keyonce.http.messages import Body
    from keyonce.integrations.spool import SpillSpace

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


STRAY_PAUSE: Final = 0.1


class TooLarge(Exception):
    """The body is over the operation's bound."""


class Disconnected(Exception):
    """The client went before its request was whole."""


def head_of(scope: Scope) -> RequestHead:
    """Give the head of an ASGI request, its path as it was received."""
    raw_path = scope.get("raw_path") or scope["path"].encode("utf-8")
    return RequestHead(
        method=scope["method"],
        raw_path=raw_path.partition(b"?")[0],
        query=scope.get("query_string", b""),
        headers=tuple(scope["headers"]),
        context=scope,
    )


async def whole_body(
    receive: Receive, head: RequestHead, space: SpillSpace, limit: int
) -> BytesBody | Spool:
    """Receive the whole body, in memory or spilled.

    Raises:
        TooLarge: it has more than *limit* bytes.
        Disconnected: the client went first.
        SpillFull: there is no room for another large body.
    """
    if _declared_size(head) > limit:
        raise TooLarge
    message = await receive()
    data: bytes = message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise Disconnected
    if not message.get("more_body", False) and len(data) <= SPILL_AT:
        if len(data) > limit:
            raise TooLarge
        return BytesBody(data)
    spool = Spool(space)
    try:
        await _fill(spool, message, receive, limit)
    except BaseException:
        spool.close()
        raise
    return spool


async def _fill(spool: Spool, message: Message, receive: Receive, limit: int) -> None:
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        data: bytes = message.get("body", b"")
        if spool.size + len(data) > limit:
            raise TooLarge
        spool.write(data)
        if not message.get("more_body", False):
            return
        message = await receive()


def _declared_size(head: RequestHead) -> int:
    for value in head.values(b"content-length"):
        if value.isdigit():
            return int(value)
    return 0


class Reception:
    """Hears the client while its request waits; what it heard is not lost.

    A caller that is cancelled leaves the message to the next one.
    """

    def __init__(self, receive: Receive) -> None:
        """Listen to *receive*, which has given the whole body."""
        self._receive = receive
        self._coming: asyncio.Future[Message] | None = None

    async def __call__(self) -> Message:
        """Give the next message; a disconnect again and again."""
        if self._coming is None:
            self._coming = asyncio.ensure_future(self._receive())
        message = await asyncio.shield(self._coming)
        if message["type"] != "http.disconnect":
            self._coming = None
        return message

    async def gone(self) -> None:
        """Wait until the client goes."""
        # Nothing else can come, but a server that says it can is asked with pauses.
        while (await self())["type"] != "http.disconnect":  # noqa: ASYNC110
            await asyncio.sleep(STRAY_PAUSE)

    def close(self) -> None:
        """Listen no more."""
        if self._coming is not None:
            self._coming.cancel()


class Incoming:
    """Gives a whole body to the app. The client going is not told to it.

    Work that has begun is carried through, so the app hears of a disconnect
    only when its response is over, or when nothing of it is guarded.
    """

    _over = False
    _waiting: tuple[asyncio.Future[None], ...] = ()

    def __init__(
        self, body: Body, receive: Receive, client_gone: Callable[[], bool]
    ) -> None:
        """Give *body*, once; then listen to *receive*.

        *client_gone* is told when the client goes, and says whether the app is.
        """
        self._receive = receive
        self._client_gone = client_gone
        self._body = body
        self.again()

    def again(self) -> None:
        """Give the body from its start."""
        pieces = self._body.chunks()
        self._pieces: Iterator[bytes] | None = pieces
        self._next: bytes | None = next(pieces, None)

    async def __call__(self) -> Message:
        """Give the next piece; after the last, wait for the response's end."""
        if self._pieces is None:
            return await self._disconnect()
        piece = self._next or b""
        self._next = next(self._pieces, None)
        more = self._next is not None
        if not more:
            self._pieces = None
        return {"type": "http.request", "body": piece, "more_body": more}

    async def _disconnect(self) -> Message:
        if not self._over:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting += (waiting,)
            listening = asyncio.ensure_future(self._listen(waiting))
            try:
                await waiting
            finally:
                listening.cancel()
        return {"type": "http.disconnect"}

    async def _listen(self, waiting: asyncio.Future[None]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._client_gone():
            _done(waiting)

    def over(self) -> None:
        """Say that the response is over."""
        self._over = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.get_loop().call_soon_threadsafe(_done, waiting)


def _done(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
