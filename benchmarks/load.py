# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A load generator of our own: raw sockets, one request at a time on each.

Runs in a process of its own, ``python -m benchmarks.load``, and prints JSON. A
client library would cost more than the server that it measures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from benchmarks.apps import TEN_FIELDS
from benchmarks.timing import percentile

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE).search
REPLAYED: Final = re.compile(rb"\r\nidempotency-replayed: *true", re.IGNORECASE).search
FIRST: Final = "first"
REPLAY: Final = "replay"
UNKEYED: Final = "unkeyed"
KEYS_REPLAYED: Final = 200


@dataclass(slots=True)
class Tally:
    """What came back."""

    statuses: Counter[bytes] = field(default_factory=Counter)
    replayed: int = 0
    took: list[float] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One connection that is kept alive."""

    def __init__(self, load: Load) -> None:
        """Send what *load* gives."""
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._held = b""
        self._sent_at = 0.0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none
        self._next()

    def _next(self) -> None:
        assert self._transport is not None
        request = self._load.request()
        if request is None:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count a whole answer and send the next request."""
        self._held += data
        head, blank, body = self._held.partition(b"\r\n\r\n")
        length = LENGTH(head)
        if not blank or length is None or len(body) < int(length[1]):
            return
        self._held = b""
        tally = self._load.tally
        tally.took.append(time.perf_counter() - self._sent_at)
        tally.statuses[head[9:12]] += 1
        tally.replayed += REPLAYED(head) is not None
        self._next()

    def connection_lost(self, _error: Exception | None) -> None:
        """Be over."""
        if not self.over.done():
            self.over.set_result(None)


class Load:
    """What is sent, until when, and what came back."""

    def __init__(self, *, mode: str, run: str) -> None:
        """Send keys of *run*: new ones, a few again and again, or none."""
        self.tally = Tally()
        self.until = float("inf")
        self.left = float("inf")
        self._mode = mode
        self._run = run
        self._numbers = count()

    def request(self) -> bytes | None:
        """Give the next request, or None when it is time to stop."""
        self.left -= 1
        if self.left < 0 or time.perf_counter() >= self.until:
            return None
        number = next(self._numbers)
        if self._mode == REPLAY:
            number %= KEYS_REPLAYED
        key = b"Idempotency-Key: %s-%08d\r\n" % (self._run.encode(), number)
        return b"".join((_BEFORE, b"" if self._mode == UNKEYED else key, _AFTER))


_BEFORE: Final = (
    b"POST /orders HTTP/1.1\r\nHost: shop.example\r\nX-Api-Key: tenant-1\r\n"
)
_AFTER: Final = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(TEN_FIELDS),
    TEN_FIELDS,
)


async def drive(
    port: int, *, clients: int, seconds: float, mode: str, run: str
) -> dict[str, float]:
    """Load the server on *port*, and give what came of it."""
    if mode == REPLAY:
        await _send(port, Load(mode=FIRST, run=run), clients, most=KEYS_REPLAYED)
    load = Load(mode=mode, run=run)
    began = time.perf_counter()
    load.until = began + seconds
    await _send(port, load, clients)
    tally = load.tally
    answered = len(tally.took)
    return {
        "answered": answered,
        "per_second": answered / (time.perf_counter() - began),
        "created": tally.statuses[b"201"],
        "replayed": tally.replayed,
        "p50": percentile(tally.took, 0.5),
        "p99": percentile(tally.took, 0.99),
    }


async def _send(
    port: int, load: Load, clients: int, most: float = float("inf")
) -> None:
    loop = asyncio.get_running_loop()
    load.left = most
    overs = []
    for _ in range(clients):
        _, client = await loop.create_connection(
            lambda: Client(load), "127.0.0.1", port
        )
        overs.append(client.over)
    await asyncio.gather(*overs)


def main() -> None:
    """Read the arguments, load, print."""
    parser = argparse.ArgumentParser(prog="benchmarks.load", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--mode", choices=(FIRST, REPLAY, UNKEYED), default=FIRST)
    parser.add_argument("--run", default="run")
    given = vars(parser.parse_args())
    print(json.dumps(_run(drive(given.pop("port"), **given))))


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        import uvloop  # noqa: PLC0415 - where it is there, the load costs less
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


if __name__ == "__main__":
    main()
