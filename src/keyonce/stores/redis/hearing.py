# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The connection on which a process hears what others have ended: SUBSCRIBE."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from keyonce.stores.redis.clients import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASK_AFTER: Final = 10.0  # seconds of silence
GONE_AFTER: Final = 15.0


class HearingLine:
    """One subscription, with a client of its own."""

    def __init__(self, client: Any, channel: bytes, *, timeout: float) -> None:
        """Subscribe to *channel*, and wait at most *timeout* seconds for that."""
        self._client = client
        self._heard_at = time.monotonic()
        self._asked = False
        self._subscription = client.pubsub()
        self._subscription.subscribe(channel)
        until = self._heard_at + timeout
        while self._next(timeout) is None:
            if time.monotonic() >= until:
                raise TimeoutError("the server did not answer")

    def hear(self, seconds: float) -> Iterator[bytes | None]:
        """Give the names that news comes of within *seconds*.

        None where the driver has subscribed anew: some may have been missed.
        """
        message = self._next(seconds)
        while message is not None:
            if message["type"] == "message":
                yield message["data"]
            elif message["type"] == "subscribe":
                yield None
            message = self._next(0.0)
        self._look_after()

    def _next(self, seconds: float) -> Any:
        message = self._subscription.get_message(timeout=seconds)
        if message is not None:
            self._heard_at, self._asked = time.monotonic(), False
        return message

    def _look_after(self) -> None:
        """Notice a server that is gone without a word."""
        silent_for = time.monotonic() - self._heard_at
        if silent_for > GONE_AFTER and self._asked:
            raise TimeoutError("the server did not answer")
        if silent_for > ASK_AFTER and not self._asked:
            self._asked = True
            self._subscription.ping()

    def close(self) -> None:
        """End the subscription and the client."""
        with suppress(Exception):
            self._subscription.close()
        for part in parts_of(self._client):
            with suppress(Exception):
                part.close()


def open_line(
    open_client: Callable[[], Any], channel: bytes, timeout: float
) -> HearingLine:
    """Subscribe to *channel* by a client that is made for it."""
    client = open_client()
    try:
        return HearingLine(client, channel, timeout=timeout)
    except BaseException:
        with suppress(Exception):
            client.close()
        raise
