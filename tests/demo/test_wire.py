# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""An exchange gives the whole answer or none, and is cut where it was told to."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import perf_counter

import pytest

from keyonce.demo.wire import Address, HangUp, LoseAnswer, Request, exchange

POST = Request("POST", "/payments", {"Idempotency-Key": "k"}, b"{}")
SMALL = b"HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Upstream:
    """A socket that sends what it was given, and keeps what it got."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.got = b""
        self.left = asyncio.Event()

    async def serve(self, reader, writer):
        try:
            self.got = await reader.readuntil(b"{}")
            writer.write(self.answer)
            if self.answer:
                writer.write_eof()
            await reader.read()
        except OSError:
            pass
        finally:
            self.left.set()
            writer.close()


@asynccontextmanager
async def upstream(answer: bytes):
    served = Upstream(answer)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    async with server:
        yield Address(*server.sockets[0].getsockname()), served


async def test_a_request_is_sent_and_its_answer_read():
    async with upstream(SMALL) as (address, served):
        answer = await exchange(address, POST)

    assert answer is not None
    assert (201, "b", b"ok") == (answer.status, answer.headers["x-a"], answer.body)
    assert served.got.startswith(b"POST /payments HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nIdempotency-Key: k\r\n" in served.got


async def test_a_chunked_answer_is_read_to_its_end():
    async with upstream(CHUNKED + b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n") as (address, _):
        answer = await exchange(address, POST)

    assert answer is not None
    assert b"abcd" == answer.body


@pytest.mark.parametrize(
    "torn", [CHUNKED + b"3\r\nabc\r\n", CHUNKED + b"3\r\na", SMALL[:-1], SMALL[:20]]
)
async def test_an_answer_that_is_cut_off_is_none(torn):
    async with upstream(torn) as (address, _):
        answer = await exchange(address, POST)

    assert answer is None


@pytest.mark.parametrize("cut", [HangUp(0.01), LoseAnswer()])
async def test_a_cut_client_has_sent_and_reads_nothing(cut):
    async with upstream(SMALL) as (address, served):
        answer = await exchange(address, POST, cut=cut)
        await served.left.wait()

    assert answer is None
    assert served.got


async def test_a_client_without_an_answer_loses_patience():
    begun = perf_counter()

    async with upstream(b"") as (address, _):
        answer = await exchange(address, POST, patience=0.05)

    assert answer is None
    assert perf_counter() - begun < 5


async def test_nobody_there_is_no_answer():
    async with upstream(SMALL) as (address, _):
        pass

    assert await exchange(address, POST) is None
