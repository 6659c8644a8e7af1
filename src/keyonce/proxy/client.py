# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The connector on aiohttp's client."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from keyonce.proxy.connector import (
    Outgoing,
    Parting,
    Refusal,
    UpstreamBroke,
    UpstreamTimedOut,
    UpstreamUnreachable,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiohttp.client_middlewares import ClientHandlerType
    from aiohttp.client_reqrep import ClientRequest, ClientResponse

    from keyonce.http.messages import Headers

CONNECT_WITHIN: Final = 10.0
# Under a second, as the connector promises.
_KEPT_ALIVE_FOR: Final = 0.9
_MOST_CONNECTIONS: Final = 1000
_LONGEST_LINE: Final = 64 * 1024
_ADDED_BY_CLIENT: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class AiohttpConnector:
    """Sends to one upstream. Make it inside the running event loop.

    *timeout* is how long the upstream may be silent, in seconds: before the head
    of its response, and between two pieces of the body.
    """

    def __init__(self, upstream: str, *, timeout: float) -> None:
        """Connect to nothing yet."""
        self._origin = URL(upstream)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_MOST_CONNECTIONS, keepalive_timeout=_KEPT_ALIVE_FOR
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_WITHIN, sock_read=timeout
            ),
            middlewares=(_send_once,),
            skip_auto_headers=_ADDED_BY_CLIENT,
            auto_decompress=False,
            trust_env=False,
            requote_redirect_url=False,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            read_bufsize=_LONGEST_LINE,
        )

    async def send(
        self, request: Outgoing, body: AsyncIterator[bytes] | None
    ) -> AiohttpAnswer:
        """Send *request* and wait for the head of its response."""
        with _told_apart():
            response = await self._session.request(
                request.method,
                self._url(request.target),
                headers=_text(request.headers),
                data=body,
                allow_redirects=False,
            )
        return AiohttpAnswer(response)

    async def open(self, request: Outgoing, subprotocols: list[str]) -> AiohttpTunnel:
        """Open a WebSocket."""
        try:
            with _told_apart():
                socket = await self._session.ws_connect(
                    self._url(request.target),
                    headers=_text(request.headers),
                    protocols=subprotocols,
                    max_msg_size=0,
                    autoping=True,
                    autoclose=False,
                )
        except aiohttp.WSServerHandshakeError as refusal:
            pairs = (refusal.headers or {}).items()
            headers = tuple((n.lower().encode(), v.encode()) for n, v in pairs)
            raise Refusal(refusal.status, headers) from refusal
        return AiohttpTunnel(socket)

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    def _url(self, target: str) -> URL:
        path, _, query = target.partition("?")
        return URL.build(
            scheme=self._origin.scheme,
            authority=self._origin.raw_authority,
            path=path,
            query_string=query,
            encoded=True,
        )


class AiohttpAnswer:
    """One response of aiohttp's client."""

    def __init__(self, response: ClientResponse) -> None:
        """Take over *response*."""
        self._response = response
        self.status = response.status
        self.headers: Headers = response.raw_headers

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the body as it comes."""
        with _told_apart():
            async for piece in self._response.content.iter_any():
                yield piece

    def close(self) -> None:
        """Give the connection back, or cut it when the body was not read whole."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class AiohttpTunnel:
    """One WebSocket of aiohttp's client."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take over *socket*."""
        self._socket = socket
        self.subprotocol = socket.protocol
        self.headers: Headers = socket._response.raw_headers  # noqa: SLF001

    async def send(self, message: str | bytes) -> None:
        """Send one text or binary message."""
        with _told_apart():
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)

    async def receive(self) -> str | bytes | Parting:
        """Wait for the next message, or for the end."""
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data)
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is aiohttp.WSMsgType.CLOSE:
            return Parting(message.data or 1005, message.extra or "")
        return Parting(1006)

    async def close(self, parting: Parting) -> None:
        """Close with the code and reason of *parting*."""
        code = parting.code if parting.code not in (1005, 1006) else 1000
        await self._socket.close(code=code, message=parting.reason.encode())


async def _send_once(
    request: ClientRequest, handler: ClientHandlerType
) -> ClientResponse:
    # aiohttp sends an idempotent method again when a kept-alive connection drops.
    # It does so on its own errors only; ours pass through it.
    with _told_apart():
        return await handler(request)


@contextmanager
def _told_apart() -> Iterator[None]:
    """Say of a failure whether anything had been sent."""
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as failure:
        message = f"The upstream cannot be reached: {_word(failure)}."
        raise UpstreamUnreachable(message) from failure
    except aiohttp.WSServerHandshakeError:
        raise
    except TimeoutError as failure:
        message = "The upstream did not answer in time."
        raise UpstreamTimedOut(message) from failure
    except (aiohttp.ClientError, OSError) as failure:
        message = f"The upstream broke off: {_word(failure)}."
        raise UpstreamBroke(message) from failure


def _word(failure: BaseException) -> str:
    return str(failure) or type(failure).__name__


def _text(headers: Headers) -> list[tuple[str, str]]:
    # The client writes UTF-8; the scanner has let nothing else in.
    return [(name.decode(), value.decode()) for name, value in headers]
