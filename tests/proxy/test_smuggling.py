# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The corpus over real sockets: nothing doubtful reaches the upstream."""

from __future__ import annotations

import asyncio

from tests.proxy.toy import exchange, status_of
from tests.proxy.vectors import BAD, CHUNKED, GOOD, TOO_LARGE


async def test_every_bad_request_is_refused_before_the_upstream(proxy, toy):
    answers = {name: await exchange(proxy, raw) for name, raw in BAD.items()}

    statuses = {name: status_of(answer) for name, answer in answers.items()}
    assert dict.fromkeys(BAD, 400) == statuses
    assert [] == [
        n for n, answer in answers.items() if b"connection: close" not in answer
    ]
    assert [] == toy.seen
    assert 0 == toy.connections


async def test_a_large_head_is_refused_before_the_upstream(proxy, toy):
    statuses = [status_of(await exchange(proxy, raw)) for raw in TOO_LARGE.values()]

    assert [431] * len(TOO_LARGE) == statuses
    assert 0 == toy.connections


async def test_every_good_request_passes_once(proxy, toy):
    statuses = {n: status_of(await exchange(proxy, raw)) for n, raw in GOOD.items()}

    assert dict.fromkeys(GOOD, 200) == statuses
    assert len(GOOD) == len(toy.seen)


async def test_nothing_behind_a_bad_request_is_read(proxy, toy):
    answer = await exchange(proxy, BAD["TE beside CL"])

    assert 1 == answer.count(b"HTTP/1.1 ")
    assert [] == toy.seen


async def test_a_bad_chunk_later_on_cuts_the_request_off(proxy, toy):
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(CHUNKED + b"3\r\nabc\r\n")
    await asyncio.sleep(0.1)

    writer.write(b"3;x\r\nabc\r\n0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await asyncio.sleep(0.2)

    assert 400 == status_of(answer)
    assert [b""] == [seen.body for seen in toy.seen]
    assert 1 == toy.lost


async def test_a_bad_request_does_not_break_into_an_answer_under_way(proxy, toy):
    async def slow(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc")
        await asyncio.sleep(0.2)
        writer.write(b"def")

    toy.respond = slow
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(GOOD["plain"])
    await reader.readuntil(b"abc")

    writer.write(BAD["no host"])
    rest = await reader.read()
    writer.close()

    assert b"400" not in rest


async def test_a_trailer_does_not_become_a_header(proxy, toy):
    raw = CHUNKED + b"1\r\na\r\n0\r\nX-Api-Key: other\r\nIdempotency-Key: k\r\n\r\n"

    answer = await exchange(proxy, raw)

    assert 200 == status_of(answer)
    assert [] == toy.seen[0].values("x-api-key")
    assert [] == toy.seen[0].values("idempotency-key")


async def test_an_answer_cannot_smuggle_either(proxy, toy):
    async def both(seen, writer):
        writer.write(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"
            b"x-a: b\r\nconnection: x-a\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        )

    toy.respond = both

    answer = await exchange(proxy, GOOD["plain"])

    assert b"x-a" not in answer
    assert answer.endswith(b"2\r\nok\r\n0\r\n\r\n")


def test_the_corpus_is_large():
    assert len(BAD) >= 60
