# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The whole sidecar over real sockets: guard, upstream, what a retry gets."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from keyonce.proxy.config import load
from tests.proxy.toy import call, exchange, free_port, reply, status_of
from tests.proxy.vectors import BAD


def answering(raw: bytes, *, close: bool = False):
    async def respond(seen, writer):
        writer.write(raw)
        if close:
            await writer.drain()
            writer.close()

    return respond


def kept(answer):
    """What of an answer a retry must get again.

    When it expires is told by the record, which is only written once a streamed
    answer has ended: its head may have said a little less.
    """
    fresh = {b"date", b"idempotency-replayed", b"connection", b"idempotency-expires"}
    return (
        answer.status,
        [pair for pair in answer.headers if pair[0] not in fresh],
        answer.body,
    )


def expiry(answer):
    (told,) = answer.values("idempotency-expires")
    return parsedate_to_datetime(told)


BODIES = {
    "json": b'{"id": 1}',
    "binary": bytes(range(256)) * 16,
    "empty": b"",
    "large": b"\x00\xff" * 5 * 2**20,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_a_retry_gets_the_same_answer(guarded, toy, body):
    head = b"HTTP/1.1 201 Created\r\nlocation: /o/1\r\nlink: <a>\r\nx-b: 2\r\nlink: <b>\r\ncontent-encoding: x\r\n"
    toy.respond = answering(reply(body, head))
    port = await guarded()

    first = await call(port, key="k")
    second = await call(port, key="k")

    assert (201, body) == (first.status, first.body)
    assert kept(first) == kept(second)
    assert timedelta(0) <= expiry(second) - expiry(first) <= timedelta(seconds=10)
    assert ["<a>", "<b>"] == second.values("link")
    assert ["true"] == second.values("idempotency-replayed")
    assert [] == first.values("idempotency-replayed")
    assert 1 == len(toy.seen)


async def test_a_retry_gets_the_same_streamed_answer(guarded, toy):
    async def stream(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for n in range(40):
            writer.write(b"4000\r\n" + bytes([n]) * 0x4000 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")

    toy.respond = stream
    port = await guarded()

    first = await call(port, key="k")
    second = await call(port, key="k")

    assert b"".join(bytes([n]) * 0x4000 for n in range(40)) == first.body == second.body
    assert 1 == len(toy.seen)


async def test_many_at_once_run_once(guarded, toy):
    async def slow(seen, writer):
        await asyncio.sleep(0.2)
        writer.write(reply(b"done"))

    toy.respond = slow
    port = await guarded("[[rule]]\nmatch = 'POST /**'\nin_flight = 'wait'\n")

    answers = await asyncio.gather(*(call(port, key="k") for _ in range(20)))

    assert {(200, b"done")} == {(answer.status, answer.body) for answer in answers}
    assert 1 == len(toy.seen)


async def test_another_body_under_the_key_is_refused(guarded, toy):
    port = await guarded()
    await call(port, key="k", body=b'{"a": 1}', content_type="application/json")

    other = await call(port, key="k", body=b'{"a": 2}', content_type="application/json")

    assert (422, "key-reused", ["/a"]) == (
        other.status,
        other.code,
        json.loads(other.body)["fields"],
    )
    assert 1 == len(toy.seen)


async def test_callers_see_nothing_of_each_other(guarded, toy):
    port = await guarded()
    first = await call(port, key="k", scope="mary")

    other = await call(port, key="k", scope="john")

    assert (200, 200, 2) == (first.status, other.status, len(toy.seen))
    assert [] == other.values("idempotency-replayed")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"key": "k", "scope": None}, "missing-scope"),
        ({"key": "k" * 300}, "invalid-key"),
        ({"key": '"k'}, "invalid-key"),
        ({"key": "k\r\nidempotency-key: l"}, "invalid-key"),
        ({}, "missing-key"),
    ],
    ids=["no scope", "long", "bad quoting", "two lines", "none"],
)
async def test_a_bad_key_is_refused(guarded, toy, more, code):
    port = await guarded("[[rule]]\nmatch = 'POST /**'\nrequired = true\n")

    answer = await call(port, **more)

    assert (400, code) == (answer.status, answer.code)
    assert [] == toy.seen


async def test_an_upstream_that_cannot_be_reached_frees_the_key(guarded, toy):
    port = free_port()
    sidecar = await guarded(upstream=f"http://127.0.0.1:{port}")
    refused = await call(sidecar, key="k")

    server = await asyncio.start_server(toy.serve, "127.0.0.1", port)
    again = await call(sidecar, key="k")
    server.close()

    problem = json.loads(refused.body)
    assert (502, "upstream-unreachable", True) == (
        refused.status,
        problem["code"],
        problem["retryable"],
    )
    assert 200 == again.status
    assert [] == again.values("idempotency-replayed")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 502),
        (b"rubbish\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", 502),
        (reply(b"bad", b"HTTP/1.1 502 Bad Gateway\r\n"), 502),
        (reply(b"slow", b"HTTP/1.1 504 Gateway Timeout\r\n"), 504),
    ],
    ids=["nothing", "rubbish", "half an answer", "its own 502", "its own 504"],
)
async def test_an_upstream_that_breaks_leaves_the_outcome_unknown(
    guarded, toy, raw, status
):
    toy.respond = answering(raw, close=True)
    port = await guarded()

    first = await call(port, key="k")
    retry = await call(port, key="k")

    assert (status, "outcome-unknown") == (first.status, first.code)
    assert (409, "outcome-unknown") == (retry.status, retry.code)
    assert 1 == len(toy.seen)


async def test_an_upstream_that_is_too_slow_leaves_the_outcome_unknown(guarded, toy):
    async def hang(seen, writer):
        await asyncio.sleep(2)

    toy.respond = hang
    port = await guarded(upstream_timeout="300ms")

    first = await call(port, key="k")
    retry = await call(port, key="k")

    assert (504, "outcome-unknown") == (first.status, first.code)
    assert 409 == retry.status
    assert 1 == len(toy.seen)


async def test_a_guarantee_that_runs_again_does_so(guarded, toy):
    toy.respond = answering(b"", close=True)
    port = await guarded("[[rule]]\nmatch = 'POST /**'\nguarantee = 'at-least-once'\n")

    first = await call(port, key="k")
    toy.respond = answering(reply())
    again = await call(port, key="k")

    assert (502, 200, 2) == (first.status, again.status, len(toy.seen))


async def test_a_long_answer_that_breaks_off_is_cut_off_and_unknown(guarded, toy):
    toy.respond = answering(
        b"HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n" + b"a" * 1_000_000,
        close=True,
    )
    port = await guarded()

    first = await call(port, key="k")
    retry = await call(port, key="k")

    assert (200, False) == (first.status, first.whole)
    assert (409, "outcome-unknown") == (retry.status, retry.code)


@pytest.mark.parametrize(("word", "again"), [("release", 200), ("unknown", 409)])
async def test_the_upstream_steers(guarded, toy, word, again):
    head = b"HTTP/1.1 200 OK\r\nkeyonce-outcome: %b\r\n" % word.encode()
    toy.respond = answering(reply(b"ok", head))
    port = await guarded()

    first = await call(port, key="k")
    retry = await call(port, key="k")

    assert again == retry.status
    assert (2 if again == 200 else 1) == len(toy.seen)
    assert [] == first.values("keyonce-outcome")


async def test_a_caller_that_hangs_up_does_not_end_guarded_work(guarded, toy):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(seen, writer):
        begun.set()
        await go_on.wait()
        writer.write(reply(b"done"))

    toy.respond = slow
    port = await guarded()
    caller = asyncio.create_task(call(port, key="k"))
    await begun.wait()
    caller.cancel()
    await asyncio.sleep(0.1)
    go_on.set()
    await asyncio.sleep(0.2)

    retry = await call(port, key="k")

    assert b"done" == retry.body
    assert ["true"] == retry.values("idempotency-replayed")
    assert 1 == len(toy.seen)


async def test_work_that_hangs_is_ended_by_its_limit(guarded, toy):
    async def hang(seen, writer):
        await asyncio.sleep(20)

    toy.respond = hang
    port = await guarded(
        "[[rule]]\nmatch = 'POST /**'\nlease = '300ms'\nwork_limit = '600ms'\n"
    )

    await call(port, key="k")
    retry = await call(port, key="k")

    assert (409, "outcome-unknown") == (retry.status, retry.code)
    assert 1 == len(toy.seen)


@pytest.mark.parametrize("how", ["forward", "strip", "derive"])
async def test_the_key_goes_on_as_the_rule_says(guarded, toy, how):
    port = await guarded(f"[[rule]]\nmatch = 'POST /**'\nforward_key = '{how}'\n")

    await call(port, key="k", scope="mary")
    await call(port, key="k", scope="john")

    mary, john = (seen.values("idempotency-key") for seen in toy.seen)
    if how == "derive":
        assert mary != john
        assert 38 == len(mary[0])
        assert "k" not in mary[0]
    else:
        assert {"forward": (["k"], ["k"]), "strip": ([], [])}[how] == (mary, john)


async def test_a_derived_key_is_the_same_on_another_run(guarded, toy):
    toy.respond = answering(
        reply(b"", b"HTTP/1.1 200 OK\r\nkeyonce-outcome: release\r\n")
    )
    port = await guarded("[[rule]]\nmatch = 'POST /**'\nforward_key = 'derive'\n")

    await call(port, key="k")
    await call(port, key='"k"')

    assert toy.seen[0].values("idempotency-key") == toy.seen[1].values(
        "idempotency-key"
    )


@pytest.mark.parametrize("mode", ["observe", "off"])
async def test_a_rule_that_is_not_enforced_changes_nothing(guarded, toy, mode):
    rule = f"[[rule]]\nmatch = 'POST /**'\nforward_key = 'strip'\nmode = '{mode}'\n"
    port = await guarded(rule)

    await call(port, key="k")
    second = await call(port, key="k")

    assert 2 == len(toy.seen)
    assert ["k"] == toy.seen[0].values("idempotency-key")
    assert [] == second.values("idempotency-replayed")


async def test_events_pass_through_unguarded(guarded, toy):
    toy.respond = answering(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: 1\n\n",
        close=True,
    )
    port = await guarded()

    first = await call(port, key="k")
    await call(port, key="k")

    assert ["unprotected"] == first.values("idempotency-status")
    assert 2 == len(toy.seen)


async def test_nothing_under_the_prefix_goes_on(guarded, toy):
    port = await guarded()
    paths = ["", "/", "/x", "/health/x", "/../a", "/status", "/status/x"]

    answers = [await call(port, "GET", f"/_keyonce{path}") for path in paths]
    posts = [await call(port, "POST", f"/_keyonce{path}", key="k") for path in paths]
    spelt = [
        "/%5Fkeyonce/x",
        "//_keyonce/x",
        "/a/../_keyonce/x",
        "/./_keyonce",
        "/%2e/_keyonce/",
    ]
    others = [await call(port, "GET", path) for path in spelt]

    assert {404} == {answer.status for answer in answers + others}
    assert {404, 405} >= {answer.status for answer in posts}
    assert [] == toy.seen


async def test_a_path_that_only_looks_alike_goes_on(guarded, toy):
    port = await guarded()

    await call(port, "GET", "/_keyoncer")
    await call(port, "GET", "/a/_keyonce")

    assert ["/_keyoncer", "/a/_keyonce"] == [seen.target for seen in toy.seen]


async def test_health_and_ready(guarded):
    port = await guarded()

    health = await call(port, "GET", "/_keyonce/health")
    ready = await call(port, "HEAD", "/_keyonce/ready")

    assert (200, {"status": "alive"}) == (health.status, json.loads(health.body))
    assert (200, b"") == (ready.status, ready.body)


async def test_the_status_resource_is_for_its_own_caller(guarded, toy):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(seen, writer):
        begun.set()
        await go_on.wait()
        writer.write(reply(b"done"))

    toy.respond = slow
    port = await guarded("[[rule]]\nmatch = 'POST /**'\nin_flight = 'accept'\n")
    first = asyncio.create_task(call(port, key="k"))
    await begun.wait()
    (address,) = (await call(port, key="k")).values("location")

    running = await call(port, "GET", address)
    stranger = await call(port, "GET", address, scope="john")
    go_on.set()
    await first
    done = await call(port, "GET", address)

    assert "in_progress" == json.loads(running.body)["status"]
    assert {"status": "completed", "response_status": 200} == json.loads(done.body)
    assert (404, "never-seen") == (stranger.status, stranger.code)


async def test_a_replay_is_authorised_first(guarded, toy):
    port = await guarded(f"[replay]\nauthorize = '{toy.url}/may?x=1'\n")
    first = await call(port, target="/orders?a=b", key="k", authorization="Bearer t")
    allowed = await call(port, target="/orders?a=b", key="k", authorization="Bearer t")
    toy.respond = answering(reply(b"", b"HTTP/1.1 403 Forbidden\r\n"))

    forbidden = await call(
        port, target="/orders?a=b", key="k", authorization="Bearer t"
    )

    asked = toy.seen[1]
    assert (200, 200, 403) == (first.status, allowed.status, forbidden.status)
    assert "replay-forbidden" == forbidden.code
    assert ("GET", "/may?x=1", b"") == (asked.method, asked.target, asked.body)
    assert ["Bearer t"] == asked.values("authorization")
    assert ["POST"] == asked.values("x-original-method")
    assert ["/orders?a=b"] == asked.values("x-original-uri")


@pytest.mark.parametrize(
    "tampered",
    [
        {"connection": "X-Api-Key"},
        {"connection": "keep-alive, idempotency-key"},
        {"connection": "close,Authorization"},
        {"connection": "cookie"},
        {"connection": "Upgrade, x-api-key", "upgrade": "websocket"},
    ],
    ids=lambda fields: fields["connection"],
)
@pytest.mark.parametrize("target", ["/orders", "/unguarded"])
async def test_no_caller_takes_its_identity_out(guarded, toy, tampered, target):
    port = await guarded("[[rule]]\nmatch = 'POST /orders'\n")

    answer = await call(port, target=target, key="k", authorization="t", **tampered)

    assert (400, ["close"]) == (answer.status, answer.values("connection"))
    assert [] == toy.seen


async def test_a_revoked_caller_cannot_hide_from_the_authoriser(guarded, toy):
    port = await guarded(f"[replay]\nauthorize = '{toy.url}/may'\n")
    await call(port, key="k")

    await call(port, key="k", connection="x-tenant", x_tenant="revoked")
    hidden = await call(port, key="k", connection="x-api-key")

    assert ["/orders", "/may"] == [seen.target for seen in toy.seen]
    assert ["revoked"] == toy.seen[1].values("x-tenant")
    assert 400 == hidden.status


@pytest.mark.parametrize("name", ["X_Api_Key", "x-api_key", "Idempotency_Key"])
async def test_no_second_spelling_of_an_identity_header(guarded, toy, name):
    port = await guarded()
    raw = (
        b"POST /orders HTTP/1.1\r\nhost: a\r\nx-api-key: mary\r\n"
        b"idempotency-key: k\r\n%b: john\r\ncontent-length: 0\r\n\r\n"
    )

    answer = await exchange(port, raw % name.encode())

    assert 400 == status_of(answer)
    assert [] == toy.seen


async def test_a_header_of_your_own_with_an_underscore(guarded, toy):
    port = await guarded("key_header = 'X_Key'\n", scope="X_Tenant")
    raw = (
        b"POST /orders HTTP/1.1\r\nhost: a\r\nX_Tenant: mary\r\nX_Key: k\r\n"
        b"%bcontent-length: 0\r\n\r\n"
    )

    good = await exchange(port, raw % b"")
    bad = [
        await exchange(port, raw % other)
        for other in (b"X-Tenant: john\r\n", b"X-Key: l\r\n")
    ]

    assert (200, [400, 400]) == (status_of(good), [status_of(one) for one in bad])
    assert 1 == len(toy.seen)


def test_a_token_header_is_an_identity_header(configured):
    pytest.importorskip("jwt")
    scope = "[scope]\njwt = 'sub'\nalgorithms = ['HS256']\nkey = 'secret'\n"
    path = configured(scope).source
    told = load(path, {"upstream": "http://127.0.0.1:1"}, {})

    assert {b"authorization", b"idempotency-key"} == told.identity_headers


async def test_without_the_authoriser_nothing_is_replayed(guarded, toy):
    port = await guarded(f"[replay]\nauthorize = 'http://127.0.0.1:{free_port()}/'\n")
    await call(port, key="k")

    answer = await call(port, key="k")

    assert (503, "authorization-unavailable") == (answer.status, answer.code)
    assert 1 == len(toy.seen)


SHOP: dict[str, Any] = {"origin": "https://shop.example"}
CORS = "[cors]\norigins = ['https://shop.example']\ncredentials = true\n"


async def test_a_preflight_of_a_named_origin_is_answered(guarded, toy):
    port = await guarded(CORS)
    asking: dict[str, Any] = {
        "access_control_request_method": "POST",
        "access_control_request_headers": "x-api-key",
    }

    answer = await call(port, "OPTIONS", **SHOP, **asking)
    await call(port, "OPTIONS", origin="https://evil.example", **asking)

    assert 204 == answer.status
    assert ["https://shop.example"] == answer.values("access-control-allow-origin")
    assert ["x-api-key, Idempotency-Key"] == answer.values(
        "access-control-allow-headers"
    )
    assert 1 == len(toy.seen)


async def test_scripts_of_a_named_origin_may_read_a_refusal(guarded):
    port = await guarded(CORS)

    named = await call(port, key='"', **SHOP)
    other = await call(port, key='"', origin="https://evil.example")

    assert ["https://shop.example"] == named.values("access-control-allow-origin")
    assert "Idempotency-Replayed" in named.values("access-control-expose-headers")[0]
    assert [] == other.values("access-control-allow-origin")


async def test_cors_of_the_upstream_is_kept_for_the_same_origin(guarded, toy):
    toy.respond = answering(
        reply(
            b"",
            b"HTTP/1.1 200 OK\r\naccess-control-allow-origin: https://a.example\r\n",
        )
    )
    port = await guarded()
    await call(port, key="k", origin="https://a.example")

    same = await call(port, key="k", origin="https://a.example")
    other = await call(port, key="k", origin="https://b.example")

    assert ["https://a.example"] == same.values("access-control-allow-origin")
    assert [] == other.values("access-control-allow-origin")


async def test_nothing_doubtful_reaches_the_guard(guarded, toy):
    port = await guarded()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    raw = BAD["TE beside CL"].replace(
        b"Host:", b"Idempotency-Key: k\r\nX-Api-Key: mary\r\nHost:", 1
    )
    writer.write(raw)
    refused = await reader.read()
    writer.close()

    after = await call(port, target="/p", key="k")

    assert refused.startswith(b"HTTP/1.1 400 ")
    assert [] == after.values("idempotency-replayed")


async def test_a_guarded_body_that_breaks_off_runs_nothing(guarded, toy):
    port = await guarded()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /orders HTTP/1.1\r\nhost: a\r\nx-api-key: mary\r\nidempotency-key: k\r\ncontent-length: 30\r\n\r\n{}"
    )
    await asyncio.sleep(0.1)
    writer.close()
    await asyncio.sleep(0.1)

    assert 0 == toy.connections


async def test_guarded_chunks_arrive_whole(guarded, toy):
    port = await guarded()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /orders HTTP/1.1\r\nhost: a\r\nx-api-key: mary\r\nidempotency-key: k\r\n"
        b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    writer.close()

    assert b"abcde" == toy.seen[0].body


async def test_two_sidecars_on_one_store_run_once(guarded, toy):
    async def slow(seen, writer):
        await asyncio.sleep(0.2)
        writer.write(reply())

    toy.respond = slow
    rule = "[[rule]]\nmatch = 'POST /**'\nin_flight = 'wait'\n"
    ports = [await guarded(rule), await guarded(rule)]

    answers = await asyncio.gather(*(call(ports[n % 2], key="k") for n in range(10)))

    assert {200} == {answer.status for answer in answers}
    assert 1 == len(toy.seen)


async def test_a_rule_that_is_put_on_top_forgets_no_key(guarded, toy):
    await call(await guarded(), key="k")
    port = await guarded(
        "[[rule]]\nmatch = 'POST /orders'\n[[rule]]\nmatch = 'POST /**'\n"
    )

    again = await call(port, key="k")

    assert ["true"] == again.values("idempotency-replayed")
    assert 1 == len(toy.seen)


async def test_a_store_is_waited_for_no_longer_than_the_store_timeout(
    guarded, tmp_path
):
    sidecar = await guarded('store_timeout = "300ms"')
    held = sqlite3.connect(tmp_path / "keys.db", isolation_level=None)
    with closing(held) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()

        refused = await call(sidecar, key="k")

    assert 503 == refused.status
    assert time.monotonic() - began < 3  # by itself it waits for 5
