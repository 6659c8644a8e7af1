# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A toy upstream that keeps every byte it got, and a server to put in front of it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from keyonce.proxy.checks import listen_on
from keyonce.proxy.config_values import Address
from keyonce.proxy.strict import strict_about

Headers = list[tuple[bytes, bytes]]


@dataclass
class Seen:
    """One request, as it came over the wire."""

    method: str
    target: str
    headers: Headers
    body: bytes = b""
    connection: int = 0

    def values(self, name: str) -> list[str]:
        wanted = name.lower().encode()
        return [value.decode("latin-1") for n, value in self.headers if n == wanted]


Respond = Callable[[Seen, asyncio.StreamWriter], Awaitable[None]]


def reply(body: bytes = b"ok", head: bytes = b"HTTP/1.1 200 OK\r\n") -> bytes:
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


async def say_ok(seen: Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(reply())


@dataclass
class ToyUpstream:
    """Listens on a free port; *respond* says what each request gets."""

    respond: Respond = say_ok
    seen: list[Seen] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    lost: int = 0
    before_body: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        mine = self.connections
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                seen = self._parsed(head, mine)
                self.seen.append(seen)
                if not self.before_body:
                    seen.body = await body_of(seen, reader)
                await self.respond(seen, writer)
                await writer.drain()
                if writer.is_closing():
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.lost += 1
        finally:
            writer.close()

    def _parsed(self, head: bytes, connection: int) -> Seen:
        self.heads.append(head)
        line, *fields = head[:-4].split(b"\r\n")
        method, target, _ = line.decode().split(" ")
        headers = pairs_of(fields)
        return Seen(method, target, headers, connection=connection)


def pairs_of(fields: list[bytes]) -> Headers:
    cut = (one.partition(b": ") for one in fields)
    return [(name.lower(), value) for name, _, value in cut]


async def body_of(seen: Seen, reader: asyncio.StreamReader) -> bytes:
    if seen.values("transfer-encoding") == ["chunked"]:
        return b"".join([chunk async for chunk in chunks(reader)])
    lengths = seen.values("content-length")
    return await reader.readexactly(int(lengths[0])) if lengths else b""


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)


@asynccontextmanager
async def running_upstream(toy: ToyUpstream) -> AsyncIterator[ToyUpstream]:
    server = await asyncio.start_server(toy.serve, "127.0.0.1", 0)
    toy.port = server.sockets[0].getsockname()[1]
    try:
        yield toy
    finally:
        server.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def serving(
    app, *, lifespan="off", identity: frozenset[bytes] = frozenset()
) -> AsyncIterator[int]:
    """Serve *app* as the sidecar does, in this loop; gives the port."""
    bound = listen_on(Address("127.0.0.1", 0), setting="listen")
    config = uvicorn.Config(
        app,
        http=strict_about(identity),
        ws="websockets-sansio",
        lifespan=lifespan,
        log_config=None,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started:
        assert not task.done(), "the server did not start"
        await asyncio.sleep(0.01)
    try:
        yield bound.getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def exchange(port: int, raw: bytes, *, within: float = 5) -> bytes:
    """Send raw bytes; give all that comes back until the other side closes.

    A side that keeps the connection open is left after a tenth of a second of
    silence behind its first bytes.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    try:
        writer.write(raw)
        got = await asyncio.wait_for(reader.read(65536), within)
        while more := await asyncio.wait_for(reader.read(65536), 0.1):
            got += more
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return got


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@dataclass
class Answer:
    """A response, read whole."""

    status: int
    headers: Headers
    body: bytes
    whole: bool = True

    def values(self, name: str) -> list[str]:
        wanted = name.encode()
        return [value.decode("latin-1") for n, value in self.headers if n == wanted]

    @property
    def code(self) -> str:
        """The code of the problem in the body."""
        return str(json.loads(self.body)["code"])


async def call(
    port: int,
    method: str = "POST",
    target: str = "/orders",
    *,
    body: bytes = b"{}",
    key: str | None = None,
    scope: str | None = "mary",
    within: float = 10,
    **more: Any,
) -> Answer:
    """Send one request, read its answer whole, and close."""
    fields = [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    fields += [f"idempotency-key: {key}"] if key else []
    fields += [f"x-api-key: {scope}"] if scope else []
    lines = [f"{method} {target} HTTP/1.1", "host: shop.example", *fields]
    head = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**25)
    try:
        async with asyncio.timeout(within):
            writer.write(head.encode() + body)
            return await read_answer(reader, bodiless=method == "HEAD")
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader, *, bodiless=False) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    line, *fields = head[:-4].split(b"\r\n")
    headers = pairs_of(fields)
    answer = Answer(int(line.split(b" ")[1]), headers, b"")
    try:
        if not (bodiless or answer.status in (204, 304)):
            answer.body = await body_of(Seen("", "", headers), reader)
    except asyncio.IncompleteReadError:
        answer.whole = False
    return answer
