# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""What holds when a store is gone, and when bodies are large."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

from tests.proxy.processes import running
from tests.proxy.toy import ToyUpstream, call, free_port, reply, running_upstream

MIB = 2**20


@contextlib.contextmanager
def locked(path):
    """Another program holds a write transaction on the store."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def test_without_a_store_nothing_is_run(guarded, toy, tmp_path):
    port = await guarded(store_timeout="200ms")
    await call(port, key="before")

    with locked(tmp_path / "keys.db"):
        answer = await call(port, key="k")
        unkeyed = await call(port)
    again = await call(port, key="k")

    assert (503, "store-unavailable") == (answer.status, answer.code)
    assert answer.values("retry-after")
    assert 200 == unkeyed.status
    assert (200, []) == (again.status, again.values("idempotency-replayed"))


async def test_without_a_store_a_rule_may_proceed_and_says_so(guarded, toy, tmp_path):
    rule = "[[rule]]\nmatch = 'POST /**'\non_store_down = 'proceed'\nforward_key = 'strip'\n"
    port = await guarded(rule, store_timeout="200ms")
    await call(port, key="before")

    with locked(tmp_path / "keys.db"):
        answer = await call(port, key="k")

    assert (200, ["unprotected"]) == (
        answer.status,
        answer.values("idempotency-status"),
    )
    assert [] == toy.seen[1].values("idempotency-key")


async def test_a_store_that_is_gone_at_the_end_costs_no_second_run(
    guarded, toy, tmp_path
):
    holding = contextlib.ExitStack()

    async def slow(seen, writer):
        if seen.target == "/orders":
            holding.enter_context(locked(tmp_path / "keys.db"))
        writer.write(reply(b"done"))

    toy.respond = slow
    port = await guarded(store_timeout="200ms")

    first = await call(port, key="k")
    holding.close()
    await asyncio.sleep(1)
    retry = await call(port, key="k")

    assert (200, b"done") == (first.status, first.body)
    assert ["unrecorded"] == first.values("idempotency-status")
    assert (200, b"done") == (retry.status, retry.body)
    assert 1 == len(toy.seen)


def memory_of(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as statm:  # noqa: PTH123 - a file of the kernel
        return int(statm.read().split()[1]) * 4096


async def test_large_bodies_are_not_held_in_memory(tmp_path):
    async def large(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (10 * MIB))
        for _ in range(10):
            writer.write(bytes(MIB))
            await writer.drain()

    async with running_upstream(ToyUpstream(large)) as toy:
        manager = running(
            tmp_path,
            f"upstream = '{toy.url}'\nstore = 'sqlite:///keys.db'\nadmin = 'off'\n"
            f"listen = '127.0.0.1:{free_port()}'\n[scope]\nheader = 'X-Api-Key'\n"
            "[[rule]]\nmatch = 'POST /kept'\n",
        )
        program = await asyncio.to_thread(manager.__enter__)
        await call(program.port, target="/kept", key="first")
        before = memory_of(program.process.pid)

        watch = asyncio.create_task(highest(program.process.pid))
        streams = (slow_read(program.port, 10 * MIB) for _ in range(20))
        uploads = (upload(program.port, f"k{n}", 10 * MIB) for n in range(20))
        sizes, statuses = await asyncio.gather(
            asyncio.gather(*streams), asyncio.gather(*uploads)
        )
        watch.cancel()
        most = await watch
        await asyncio.to_thread(manager.__exit__, None, None, None)

    assert [10 * MIB] * 20 == sizes
    assert [200] * 20 == statuses
    assert most - before < 100 * MIB


async def highest(pid: int) -> int:
    """Watch until cancelled; give the most memory that was seen."""
    most = 0
    try:
        while True:
            most = max(most, memory_of(pid))
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        return most


async def upload(port: int, key: str, size: int) -> int:
    answer = await call(port, target="/kept", key=key, body=bytes(size), within=60)
    return answer.status


async def slow_read(port: int, size: int) -> int:
    """Read an unguarded answer in small steps; give how much came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=64 * 1024)
    writer.write(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    got = 0
    while got < size and (piece := await reader.read(256 * 1024)):
        got += len(piece)
        await asyncio.sleep(0.01)
    writer.close()
    return got
