# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The bare proxy over real sockets: what goes up, what comes down, what breaks."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest

from keyonce.proxy.client import AiohttpConnector
from keyonce.proxy.edge import Edge
from keyonce.proxy.upstream import UpstreamApp
from tests.proxy.toy import exchange, free_port, reply, serving, status_of

GET = b"GET /a HTTP/1.1\r\nHost: shop.example\r\n%b\r\n"


def get(fields: bytes = b"") -> bytes:
    return GET % fields


def post(body: bytes, fields: bytes = b"") -> bytes:
    return (
        b"POST /a HTTP/1.1\r\nHost: shop.example\r\ncontent-length: %d\r\n%b\r\n%b"
    ) % (len(body), fields, body)


def answering(raw: bytes, *, close: bool = False):
    async def respond(seen, writer):
        writer.write(raw)
        if close:
            await writer.drain()
            writer.close()

    return respond


async def test_the_target_goes_on_as_it_came(proxy, toy):
    target = b'//a/../%2f%2F;b="<>|\\^`{}[]/%zz??x=%41&y=a+b&&='

    await exchange(proxy, b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)

    assert target.decode() == toy.seen[0].target


async def test_header_lines_keep_order_duplicates_and_bytes(proxy, toy):
    fields = b'x-b: 2\r\nx-a: 1\r\nX-B: 3\r\nx-c: caf\xc3\xa9\r\ncookie: a=b; c="d"\r\ncookie: e\r\n'

    await exchange(proxy, get(fields))

    mine = [
        (n, v)
        for n, v in toy.seen[0].headers
        if n in {b"x-a", b"x-b", b"x-c", b"cookie"}
    ]
    assert [
        (b"x-b", b"2"),
        (b"x-a", b"1"),
        (b"x-b", b"3"),
        (b"x-c", b"caf\xc3\xa9"),
        (b"cookie", b'a=b; c="d"'),
        (b"cookie", b"e"),
    ] == mine


async def test_the_client_adds_no_headers_of_its_own(proxy, toy):
    await exchange(proxy, get())

    assert {
        b"host",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
    } == {name for name, _ in toy.seen[0].headers}


async def test_host_goes_on_as_received(proxy, toy):
    await exchange(proxy, get())

    assert ["shop.example"] == toy.seen[0].values("host")


async def test_hop_by_hop_headers_stay_behind(proxy, toy):
    fields = (
        b"Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nTE: trailers\r\n"
        b"Proxy-Authorization: Basic x\r\nProxy-Connection: close\r\nX-End: 1\r\n"
    )

    await exchange(proxy, get(fields))

    names = {name for name, _ in toy.seen[0].headers}
    assert b"x-end" in names
    assert names.isdisjoint(
        {
            b"connection",
            b"keep-alive",
            b"x-hop",
            b"te",
            b"proxy-authorization",
            b"proxy-connection",
        }
    )


async def test_connection_cannot_drop_the_length(proxy, toy):
    await exchange(proxy, post(b"abc", b"Connection: content-length\r\n"))

    assert b"abc" == toy.seen[0].body


async def test_says_for_whom_it_forwards(proxy, toy):
    await exchange(proxy, get())

    seen = toy.seen[0]
    assert ["127.0.0.1"] == seen.values("x-forwarded-for")
    assert ["http"] == seen.values("x-forwarded-proto")
    assert ["shop.example"] == seen.values("x-forwarded-host")
    assert ['for=127.0.0.1;proto=http;host="shop.example"'] == seen.values("forwarded")


async def test_adds_to_what_a_trusted_proxy_said(proxy, toy):
    fields = b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nForwarded: for=1.2.3.4\r\n"

    await exchange(proxy, get(fields))

    seen = toy.seen[0]
    assert ["1.2.3.4, 127.0.0.1"] == seen.values("x-forwarded-for")
    assert ["https"] == seen.values("x-forwarded-proto")
    assert ['for=1.2.3.4, for=127.0.0.1;proto=http;host="shop.example"'] == seen.values(
        "forwarded"
    )


async def test_forgets_what_a_stranger_said(toy):
    app = UpstreamApp(lambda: AiohttpConnector(toy.url, timeout=1), trusted=())
    async with serving(Edge(app)) as port:
        await exchange(
            port, get(b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n")
        )
    await app.close()

    assert ["127.0.0.1"] == toy.seen[0].values("x-forwarded-for")
    assert ["http"] == toy.seen[0].values("x-forwarded-proto")


async def test_a_body_goes_up_whole(proxy, toy):
    await exchange(proxy, post(bytes(range(256)) * 1000))

    assert bytes(range(256)) * 1000 == toy.seen[0].body


async def test_chunks_go_up_as_chunks(proxy, toy):
    raw = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"

    await exchange(proxy, raw)

    assert b"abcde" == toy.seen[0].body
    assert ["chunked"] == toy.seen[0].values("transfer-encoding")


async def test_expect_is_answered_here(proxy, toy):
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(
        post(b"", b"Expect: 100-continue\r\n").replace(b"length: 0", b"length: 3")
    )
    first = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"abc")
    second = await reader.readuntil(b"\r\n\r\n")
    writer.close()

    assert 100 == status_of(first)
    assert 200 == status_of(second)
    assert [] == toy.seen[0].values("expect")


async def test_the_answer_comes_down_as_it_was(proxy, toy):
    toy.respond = answering(
        b"HTTP/1.1 201 Made\r\nSet-Cookie: a=1\r\nX-A: 1\r\nset-cookie: b=2\r\nX-L: \xe9\r\n"
        b"Date: yesterday\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x00\xff"
    )

    answer = await exchange(proxy, get())

    assert answer == (
        b"HTTP/1.1 201 Created\r\nset-cookie: a=1\r\nx-a: 1\r\nset-cookie: b=2\r\nx-l: \xe9\r\n"
        b"date: yesterday\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x00\xff"
    )


async def test_cookies_are_not_kept_between_callers(proxy, toy):
    toy.respond = answering(
        b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\ncontent-length: 0\r\n\r\n"
    )
    await exchange(proxy, get())

    await exchange(proxy, get())

    assert [] == toy.seen[1].values("cookie")


async def test_redirects_are_handed_on(proxy, toy):
    toy.respond = answering(
        b"HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n"
    )

    answer = await exchange(proxy, get())

    assert 302 == status_of(answer)
    assert 1 == len(toy.seen)


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body(proxy, toy, status):
    toy.respond = answering(b"HTTP/1.1 %d X\r\netag: a\r\n\r\n" % status)

    answer = await exchange(proxy, get() + get())

    assert 2 == answer.count(b"HTTP/1.1 %d" % status)
    assert b"transfer-encoding" not in answer


async def test_head_keeps_the_length(proxy, toy):
    toy.respond = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 42\r\n\r\n")

    answer = await exchange(proxy, get().replace(b"GET", b"HEAD"))

    assert b"content-length: 42" in answer


async def test_steering_headers_never_leave(proxy, toy):
    toy.respond = answering(
        b"HTTP/1.1 200 OK\r\nKeyonce-Outcome: store\r\nKeyonce-Reference: c\r\nkeyonce-retention: 1d\r\ncontent-length: 0\r\n\r\n"
    )

    answer = await exchange(proxy, get())

    assert b"keyonce" not in answer.lower()


async def test_a_date_is_added_where_there_is_none(proxy, toy):
    answer = await exchange(proxy, get())

    assert 1 == answer.lower().count(b"\r\ndate: ")


async def test_pieces_come_down_as_they_come(proxy, toy):
    go_on = asyncio.Event()

    async def stream(seen, writer):
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n"
        )
        await writer.drain()
        await go_on.wait()
        writer.write(b"data: 2\n\n")
        await writer.drain()
        writer.close()

    toy.respond = stream
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(get())

    await reader.readuntil(b"data: 1")
    go_on.set()
    rest = await reader.readuntil(b"data: 2")
    writer.close()

    assert rest


async def test_a_caller_that_hangs_up_ends_the_exchange(proxy, toy):
    ended = asyncio.Event()

    async def endless(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"data: x\n\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        ended.set()

    toy.respond = endless
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(get())
    await reader.readuntil(b"data")

    writer.close()

    await asyncio.wait_for(ended.wait(), 5)


async def test_an_upload_that_ends_early_is_cut_off_above(proxy, toy):
    _, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(post(b"abc").replace(b"length: 3", b"length: 30"))
    await asyncio.sleep(0.2)

    writer.close()
    await asyncio.sleep(0.2)

    assert 1 == toy.lost
    assert [b""] == [seen.body for seen in toy.seen]


async def test_nobody_there_says_so_and_that_nothing_was_sent():
    app = UpstreamApp(
        lambda: AiohttpConnector(f"http://127.0.0.1:{free_port()}", timeout=1)
    )
    async with serving(Edge(app)) as port:
        answer = await exchange(port, get())
    await app.close()

    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert 502 == status_of(answer)
    assert ("upstream-unreachable", True) == (problem["code"], problem["retryable"])


async def test_an_upstream_that_breaks_off_before_its_answer(proxy, toy):
    toy.respond = answering(b"", close=True)

    answer = await exchange(proxy, post(b"abc"))

    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert 502 == status_of(answer)
    assert ("upstream-failed", False) == (problem["code"], problem["retryable"])
    assert 1 == len(toy.seen)


async def test_an_upstream_that_answers_rubbish(proxy, toy):
    toy.respond = answering(b"rubbish\r\n\r\n", close=True)

    answer = await exchange(proxy, get())

    assert 502 == status_of(answer)


async def test_an_upstream_that_never_answers(proxy, toy):
    async def hang(seen, writer):
        await asyncio.sleep(2)

    toy.respond = hang

    answer = await exchange(proxy, get())

    assert 504 == status_of(answer)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
    ids=["length", "chunks"],
)
async def test_an_answer_that_breaks_off_is_cut_off(proxy, toy, head):
    toy.respond = answering(head, close=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(get())

    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()

    assert b"abc" in answer
    assert not answer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"GET", b"POST"])
async def test_nothing_is_sent_twice(proxy, toy, method):
    async def once(seen, writer):
        if len(toy.seen) == 1:
            writer.write(reply())
        else:
            writer.close()  # drops the kept-alive connection with the request in it

    toy.respond = once
    raw = get().replace(b"GET", method)
    await exchange(proxy, raw)

    answer = await exchange(proxy, raw)

    assert 502 == status_of(answer)
    assert 2 == len(toy.seen)
    assert [1, 1] == [seen.connection for seen in toy.seen]


async def test_an_idle_connection_is_not_used_again_after_a_second(proxy, toy):
    await exchange(proxy, get())
    await asyncio.sleep(1)

    await exchange(proxy, get())

    assert [1, 2] == [seen.connection for seen in toy.seen]


async def test_an_early_answer_ends_the_upload(proxy, toy):
    toy.before_body = True
    toy.respond = answering(
        b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        close=True,
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(post(b"").replace(b"length: 0", b"length: 1000000"))
    writer.write(b"a" * 1000)

    answer = await asyncio.wait_for(reader.read(1000), 5)
    writer.close()

    assert 413 == status_of(answer)
