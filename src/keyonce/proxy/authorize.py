# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Ask the operator's URL before a stored answer is given out again.

A replay does not reach the upstream, so nobody else would notice that a caller's
access has been revoked since the first request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from keyonce.proxy.failures import AuthorizerUnavailable
from keyonce.proxy.wire import HOP_BY_HOP

if TYPE_CHECKING:
    from keyonce.core.model import Record
    from keyonce.http.messages import RequestHead

ASKED_FOR: Final = 5.0
_OF_THE_BODY: Final = frozenset(
    {b"content-length", b"content-type", b"content-encoding", b"expect", b"host"}
)


class Authorizer:
    """Asks *url* with the caller's own headers: GET, no body.

    ``X-Original-Method`` and ``X-Original-URI`` say what is to be replayed. Any 2xx
    lets it pass; any other answer forbids it.
    """

    def __init__(self, url: str) -> None:
        """Ask nobody yet. Make it inside the running event loop."""
        self._url = URL(url)
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=ASKED_FOR),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
        )

    async def __call__(self, head: RequestHead, record: Record) -> bool:
        """Say whether the caller of *head* may have the answer of *record*.

        Raises:
            AuthorizerUnavailable: nobody answered.
        """
        del record
        try:
            async with self._session.get(
                self._url, headers=_asking(head), allow_redirects=False
            ) as answer:
                return answer.ok and answer.status < 300  # noqa: PLR2004 - 2xx
        except (aiohttp.ClientError, OSError, TimeoutError) as failure:
            message = f"{self._url.host} did not say whether a replay is allowed."
            raise AuthorizerUnavailable(message) from failure

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()


def _asking(head: RequestHead) -> list[tuple[str, str]]:
    target = head.raw_path + (b"?" + head.query if head.query else b"")
    # Not what ``Connection`` names: the caller must not choose what is judged.
    lowered = [(name.lower(), value) for name, value in head.headers]
    kept = [pair for pair in lowered if pair[0] not in HOP_BY_HOP | _OF_THE_BODY]
    named = [n for n, _ in kept if n in {b"x-original-method", b"x-original-uri"}]
    return [
        *((n.decode(), v.decode()) for n, v in kept if n not in named),
        ("x-original-method", head.method),
        ("x-original-uri", target.decode("ascii")),
    ]
