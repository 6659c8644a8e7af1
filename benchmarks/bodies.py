# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Two hundred requests of 10 MiB in flight: what they take of the memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from benchmarks.apps import FLIGHTS
from benchmarks.servers import HOST, uvicorn
from benchmarks.table import Line
from keyonce.integrations.spool import SPILL_AT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.plan import Plan

GROUP: Final = "memory of the process"
MIB: Final = 1024 * 1024
BODY: Final = 10 * MIB
BESIDE: Final = 16 * MIB  # what any first traffic adds: buffers, modules, threads
PIECE: Final = b"0" * (64 * 1024)
SENDING: Final = 8


def measure(plan: Plan) -> Iterator[Line]:
    """Hold them all at once and look at the resident memory."""
    flights = plan.either(20, 200)
    with uvicorn("meeting", {FLIGHTS: str(flights)}) as server:
        before = server.memory()["now"]
        asyncio.run(_all(server.port, flights))
        grown = server.memory()["most"] - before
    bound = flights * SPILL_AT + BESIDE
    yield Line(
        group=GROUP,
        what=f"grown with {flights} requests of 10 MiB",
        value=grown / MIB,
        unit="MiB",
        ratio=grown / (flights * BODY),
        against="of the bodies",
        target=f"≤ {bound / MIB:.0f} MiB: {flights} spill thresholds, and 16",
        met=grown <= bound,
    )


async def _all(port: int, flights: int) -> None:
    gate = asyncio.Semaphore(SENDING)
    await asyncio.gather(*(_one(port, gate, number) for number in range(flights)))


async def _one(port: int, gate: asyncio.Semaphore, number: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    async with gate:
        writer.write(
            b"POST /uploads HTTP/1.1\r\nHost: shop.example\r\nX-Api-Key: tenant-1\r\n"
            b"Content-Type: application/octet-stream\r\n"
            b"Idempotency-Key: upload-%08d\r\nContent-Length: %d\r\n\r\n"
            % (number, BODY)
        )
        for _ in range(BODY // len(PIECE)):
            writer.write(PIECE)
            await writer.drain()
    answer = await reader.readline()
    if b" 201 " not in answer:
        raise RuntimeError(f"A large request was not served: {answer!r}")
    writer.close()
    await writer.wait_closed()
