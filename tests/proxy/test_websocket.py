# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""WebSockets go through the proxy as they are."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from keyonce.proxy.client import AiohttpConnector
from keyonce.proxy.edge import Edge
from keyonce.proxy.upstream import UpstreamApp
from tests.proxy.toy import free_port, serving

B = Subprotocol("b")


class Room:
    """A WebSocket upstream that sends back what it hears."""

    def __init__(self):
        self.requests = []
        self.closed = []

    async def __call__(self, socket):
        self.requests.append(socket.request)
        with suppress(ConnectionClosed):
            while (message := await socket.recv()) != "bye":
                await socket.send(message)
            await socket.close(4001, "as asked")
        await socket.wait_closed()
        self.closed.append((socket.close_code, socket.close_reason))


def refuse(connection, request):
    return connection.respond(403, "no") if request.path == "/closed" else None


@asynccontextmanager
async def proxied(room):
    async with serve(
        room,
        "127.0.0.1",
        0,
        select_subprotocol=lambda _, offered: B if B in offered else None,
        process_request=refuse,
    ) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        app = UpstreamApp(lambda: AiohttpConnector(url, timeout=1))
        async with serving(Edge(app)) as port:
            yield f"ws://127.0.0.1:{port}"
        await app.close()


@pytest.fixture
def room():
    return Room()


async def test_text_and_bytes_go_both_ways(room):
    async with proxied(room) as url, connect(f"{url}/chat?a=b") as socket:
        await socket.send("hé")
        text = await socket.recv()
        await socket.send(b"\x00\xff" * 40_000)
        data = await socket.recv()

    assert ("hé", b"\x00\xff" * 40_000) == (text, data)
    assert "/chat?a=b" == room.requests[0].path


async def test_headers_and_subprotocol_go_through(room):
    async with (
        proxied(room) as url,
        connect(
            url, subprotocols=[Subprotocol("a"), B], additional_headers={"x-a": "1"}
        ) as socket,
    ):
        chosen = socket.subprotocol

    headers = room.requests[0].headers
    assert B == chosen
    assert "1" == headers["x-a"]
    assert "127.0.0.1" == headers["x-forwarded-for"]


async def test_the_code_of_the_upstream_reaches_the_caller(room):
    async with proxied(room) as url, connect(url) as socket:
        await socket.send("bye")
        with pytest.raises(ConnectionClosed):
            await socket.recv()

    assert (4001, "as asked") == (socket.close_code, socket.close_reason)


async def test_the_code_of_the_caller_reaches_the_upstream(room):
    async with proxied(room) as url:
        async with connect(url) as socket:
            await socket.close(4002, "enough")
        await asyncio.sleep(0.1)

    assert [(4002, "enough")] == room.closed


async def test_a_caller_that_vanishes_ends_the_upstreams_side(room):
    async with proxied(room) as url:
        socket = await connect(url)
        socket.transport.abort()
        await asyncio.sleep(0.2)

        assert 1 == len(room.closed)


async def test_a_refused_handshake_is_refused_here(room):
    async with proxied(room) as url:
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{url}/closed")

    assert 403 == caught.value.response.status_code


async def test_nobody_there():
    app = UpstreamApp(
        lambda: AiohttpConnector(f"http://127.0.0.1:{free_port()}", timeout=1)
    )
    async with serving(Edge(app)) as port:
        with pytest.raises(InvalidStatus):
            await connect(f"ws://127.0.0.1:{port}")
    await app.close()
