# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The known app as an ASGI app, and a caller for guarded ones without a server."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from keyonce.testing.integration_scenarios.behaviours import Head, Pause, Piece
from keyonce.testing.integration_scenarios.messages import Reply, lower

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from concurrent.futures import Future

    from keyonce.testing.integration_scenarios.known_app import KnownApp
    from keyonce.testing.integration_scenarios.messages import Request

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOK_EVERY: Final = 0.002
PIECE: Final = 65_536
ANSWERED_WITHIN: Final = 60.0


def asgi_app(known: KnownApp) -> ASGIApp:
    """Give *known* as an ASGI app."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        body = await _whole_body(receive)
        headers = {
            k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]
        }
        acts = known.acts(scope["method"], scope["path"], headers, body)
        try:
            await _perform(acts, send)
        finally:
            acts.close()

    return app


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _whole_body(receive: Receive) -> bytes:
    pieces: list[bytes] = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


async def _perform(acts: Any, send: Send) -> None:
    last = False
    for act in acts:
        match act:
            case Head(status, headers):
                start = {"type": "http.response.start", "status": status}
                await send({**start, "headers": list(headers)})
            case Piece(data, last):
                await send(_piece(data, more=not last))
            case Pause(gate):
                while not gate.is_set():  # noqa: ASYNC110 - opened by another thread
                    await asyncio.sleep(LOOK_EVERY)
    if not last:
        await send(_piece(b"", more=False))


def _piece(data: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


class AsgiCaller:
    """Calls a guarded ASGI app on a loop of its own, cancelling like a strict server.

    Enter it to start the app's lifespan, leave it to end that.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Call *app*."""
        self._app = app
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._lifespan: asyncio.Queue[Message] = asyncio.Queue()
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        living = self._app({"type": "lifespan"}, self._lifespan.get, self._said.put)
        self._living = asyncio.run_coroutine_threadsafe(_awaited(living), self.loop)
        self._tell("lifespan.startup")

    def _tell(self, what: str) -> None:
        async def tell() -> None:
            await self._lifespan.put({"type": what})
            said = await self._said.get()
            assert said["type"] == what + ".complete", said

        asyncio.run_coroutine_threadsafe(tell(), self.loop).result(ANSWERED_WITHIN)

    def start(self, request: Request) -> AsgiCall:
        """Send *request*."""
        return AsgiCall(self._app, self.loop, request)

    def left_over(self) -> list[str]:
        """Name the tasks on the loop, which are left over when all is answered."""

        async def look() -> list[str]:
            mine = asyncio.current_task()
            return [repr(t) for t in asyncio.all_tasks() if t is not mine]

        found = asyncio.run_coroutine_threadsafe(look(), self.loop)
        return [
            name for name in found.result(ANSWERED_WITHIN) if "_awaited" not in name
        ]

    def close(self) -> None:
        """Shut down as a server does, and end the loop."""
        self._tell("lifespan.shutdown")
        self._living.result(ANSWERED_WITHIN)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _awaited(work: Awaitable[None]) -> None:
    await work


class AsgiCall:
    """One call of an ASGI app. Hanging up cancels the app, as strict servers do."""

    def __init__(
        self, app: ASGIApp, loop: asyncio.AbstractEventLoop, request: Request
    ) -> None:
        """Send *request* to *app*, on *loop*."""
        self._app = app
        self._loop = loop
        self._request = request
        self._incoming = self._messages()
        self._news = threading.Condition()
        self._status: int | None = None
        self._headers: Any = ()
        self._body = bytearray()
        self._taken = 0
        self._whole = False
        self._over = False
        self._gone = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._done: Future[None] = asyncio.run_coroutine_threadsafe(self._run(), loop)

    def _messages(self) -> Any:
        body = self._request.body
        pieces = [body[at : at + PIECE] for at in range(0, len(body), PIECE)] or [b""]
        for number, piece in enumerate(pieces, 1):
            more = number < len(pieces)
            yield {"type": "http.request", "body": piece, "more_body": more}

    def _scope(self) -> Scope:
        path, _, query = self._request.target.partition("?")
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in self._request.headers
        ]
        if not self._request.chunked:
            headers.append((b"content-length", b"%d" % len(self._request.body)))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": headers,
            "extensions": {},
        }

    async def _run(self) -> None:
        self._task = asyncio.current_task()
        try:
            with suppress(Exception, asyncio.CancelledError):
                await self._app(self._scope(), self._receive, self._send)
        finally:
            with self._news:
                self._over = True
                self._news.notify_all()

    async def _receive(self) -> Message:
        message: Message | None = next(self._incoming, None)
        if message is not None:
            return message
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._gone.is_set():
            broken = "The client has gone."
            raise OSError(broken)
        with self._news:
            if message["type"] == "http.response.start":
                assert self._status is None, "two heads"
                self._status, self._headers = message["status"], message["headers"]
            else:
                assert not self._whole, "a piece after the end"
                self._body += message.get("body", b"")
                self._whole = not message.get("more_body", False)
            self._over = self._over or self._whole
            self._news.notify_all()

    def read(self, size: int) -> bytes:
        """Wait for the next *size* bytes of the answer's body."""
        end = self._taken + size
        with self._news:
            self._news.wait_for(
                lambda: self._over or len(self._body) >= end, ANSWERED_WITHIN
            )
            read = bytes(self._body[self._taken : end])
        self._taken = end
        return read

    def reply(self) -> Reply:
        """Wait for the rest of the answer."""
        with self._news:
            answered = self._news.wait_for(lambda: self._over, ANSWERED_WITHIN)
        assert answered, "no answer"
        if self._status is None:
            return Reply(500, (), b"", cut_off=True)
        return Reply(
            self._status,
            lower(tuple(self._headers)),
            bytes(self._body),
            cut_off=not self._whole,
        )

    def hang_up(self) -> None:
        """Go away without waiting for the rest."""

        def gone() -> None:
            self._gone.set()
            if self._task is not None:
                self._task.cancel()

        self._loop.call_soon_threadsafe(gone)
        with suppress(Exception):
            self._done.result(ANSWERED_WITHIN)
