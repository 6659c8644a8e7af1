# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The program itself: start, several workers, signals, what it refuses."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.proxy.processes import running, start
from tests.proxy.toy import call, free_port, reply


@pytest.fixture
def toml(toy, tmp_path):
    """The top of a configuration in front of *toy*; rules go below."""

    def make(more: str = "", **settings: object) -> str:
        given = {
            "upstream": toy.url,
            "store": f"sqlite:///{tmp_path}/keys.db",
            "listen": f"127.0.0.1:{free_port()}",
            "admin": f"127.0.0.1:{free_port()}",
        } | settings
        lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
        return "\n".join([*lines, '[scope]\nheader = "X-Api-Key"', more])

    return make


async def run(folder, text):
    """Start the program without blocking this loop, where the upstream lives."""
    manager = running(folder, text)
    program = await asyncio.to_thread(manager.__enter__)
    return program, lambda: asyncio.to_thread(manager.__exit__, None, None, None)


@pytest.fixture
async def program(tmp_path):
    """Start programs; end them with the test."""
    ends = []

    async def begin(text):
        started, end = await run(tmp_path, text)
        ends.append(end)
        return started

    yield begin
    for end in ends:
        await end()


async def refusal(folder, text) -> tuple[int, str]:
    process = start(folder, text)
    status = await asyncio.to_thread(process.wait, 20)
    assert process.stdout
    process.stdout.close()
    return status, (folder / "log").read_text()


async def ended(process, within=15.0) -> int:
    return await asyncio.to_thread(process.wait, within)


async def eventually(holds, within=10.0):
    deadline = time.monotonic() + within
    while not (found := holds()) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    return found


async def test_guards_and_says_what_runs(program, toml, toy):
    running = await program(toml("[[rule]]\nmatch = 'POST /orders'\n"))

    first = await call(running.port, key="k")
    second = await call(running.port, key="k")
    running.signal(signal.SIGTERM)
    status = await ended(running.process)

    assert (200, ["true"], 1) == (
        first.status,
        second.values("idempotency-replayed"),
        len(toy.seen),
    )
    assert 0 == status
    told = running.process.stdout.read()
    assert "sqlite" in told
    assert "the header X-Api-Key (hashed)" in told
    assert "POST /orders: at-most-once" in told
    assert "not authorised again" in told


async def test_the_admin_listener(program, toml):
    running = await program(toml("[[rule]]\nmatch = 'POST /orders'\n"))
    await call(running.port, key="k")
    await call(running.port, key="k")

    pages = {
        path: await asyncio.to_thread(running.page, path)
        for path in ("/metrics", "/healthz", "/readyz", "/policy", "/policy.json", "/x")
    }

    metrics = pages["/metrics"][1]
    assert (
        'keyonce_requests_total{operation="POST /orders",outcome="executed"} 1.0'
        in metrics
    )
    assert (
        'keyonce_requests_total{operation="POST /orders",outcome="replayed"} 1.0'
        in metrics
    )
    assert 'keyonce_records{status="completed"} 1.0' in metrics
    assert (200, 200, 404) == (
        pages["/healthz"][0],
        pages["/readyz"][0],
        pages["/x"][0],
    )
    assert "POST /orders" in pages["/policy"][1]
    assert "/orders" in json.loads(pages["/policy.json"][1])["paths"]


async def test_the_traffic_port_has_no_admin_pages(program, toml, toy):
    running = await program(toml())

    await call(running.port, "GET", "/metrics")

    assert ["/metrics"] == [seen.target for seen in toy.seen]


async def test_without_admin(program, toml):
    running = await program(toml(admin="off"))

    assert 0 == running.admin
    assert 200 == (await call(running.port, key="k")).status


async def test_several_workers_run_a_key_once(program, toml, toy):
    async def slow(seen, writer):
        await asyncio.sleep(0.3)
        writer.write(reply())

    toy.respond = slow
    rule = "[[rule]]\nmatch = 'POST /**'\nin_flight = 'wait'\n"
    running = await program(toml(rule, workers=2))

    answers = await asyncio.gather(*(call(running.port, key="k") for _ in range(30)))
    text = (await asyncio.to_thread(running.page, "/metrics"))[1]

    assert 2 == len(running.children())
    assert {200} == {answer.status for answer in answers}
    assert 1 == len(toy.seen)
    assert 'keyonce_requests_total{operation="POST /**",outcome="executed"} 1.0' in text
    assert (
        'keyonce_requests_total{operation="POST /**",outcome="replayed"} 29.0' in text
    )
    assert 'keyonce_records{status="completed"} 1.0' in text


async def test_a_killed_worker_is_replaced_and_its_key_is_not_run_again(
    program, toml, toy
):
    begun = asyncio.Event()

    async def hang(seen, writer):
        begun.set()
        await asyncio.sleep(5)

    toy.respond = hang
    rule = "[[rule]]\nmatch = 'POST /**'\nlease = '500ms'\n"
    running = await program(toml(rule, workers=2))
    before = set(running.children())
    caller = asyncio.create_task(call(running.port, key="k"))
    await begun.wait()

    for worker in before:
        os.kill(worker, signal.SIGKILL)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await caller
    after = await eventually(lambda: set(running.children()) - before)
    await asyncio.sleep(1.5)
    toy.respond = lambda seen, writer: asyncio.sleep(0, writer.write(reply()))
    retry = await call(running.port, key="k")
    other = await call(running.port, key="l")

    assert after
    assert (409, "outcome-unknown") == (retry.status, retry.code)
    assert 200 == other.status
    assert 2 == len(toy.seen)


@pytest.mark.parametrize("workers", [1, 2])
async def test_drains_what_is_under_way(program, toml, toy, workers):
    begun = asyncio.Event()

    async def slow(seen, writer):
        begun.set()
        await asyncio.sleep(1)
        writer.write(reply(b"done"))

    toy.respond = slow
    running = await program(toml(workers=workers))
    caller = asyncio.create_task(call(running.port, key="k"))
    await begun.wait()

    running.signal(signal.SIGTERM)
    await asyncio.sleep(0.4)
    with pytest.raises(OSError):
        await call(running.port, key="l")
    answer = await caller
    status = await ended(running.process)

    assert (200, b"done") == (answer.status, answer.body)
    assert 0 == status


async def test_drains_work_whose_caller_has_gone(program, toml, toy):
    begun = asyncio.Event()

    async def slow(seen, writer):
        begun.set()
        await asyncio.sleep(1)
        writer.write(reply(b"done"))

    toy.respond = slow
    text = toml()
    running = await program(text)
    caller = asyncio.create_task(call(running.port, key="k"))
    await begun.wait()
    caller.cancel()

    running.signal(signal.SIGTERM)
    await ended(running.process)
    again = await program(text)
    retry = await call(again.port, key="k")

    assert (b"done", ["true"]) == (retry.body, retry.values("idempotency-replayed"))
    assert 1 == len(toy.seen)


@pytest.mark.parametrize("workers", [1, 2])
async def test_draining_has_an_end(program, toml, toy, workers):
    begun = asyncio.Event()

    async def hang(seen, writer):
        begun.set()
        await asyncio.sleep(30)

    toy.respond = hang
    running = await program(toml(workers=workers, drain="1s"))
    caller = asyncio.create_task(call(running.port, key="k"))
    await begun.wait()

    started = time.monotonic()
    running.signal(signal.SIGTERM)
    status = await ended(running.process)
    answer = await caller

    assert 0 == status
    assert time.monotonic() - started < 6
    assert (502, "outcome-unknown") == (answer.status, answer.code)


async def test_what_draining_cuts_off_is_unknown_and_says_so(program, toml, toy):
    begun: asyncio.Queue[object] = asyncio.Queue()

    async def hang(seen, writer):
        begun.put_nowait(seen)
        await asyncio.sleep(30)

    toy.respond = hang
    text = toml(drain="1s")
    running = await program(text)
    callers = [
        asyncio.create_task(call(running.port, method, key="k"))
        for method in ("POST", "PUT")
    ]
    left = asyncio.create_task(call(running.port, key="left"))
    for _ in range(3):
        await begun.get()
    left.cancel()

    running.signal(signal.SIGTERM)
    guarded, plain = [await caller for caller in callers]
    await ended(running.process)
    again = await program(text)
    retries = [await call(again.port, key=key) for key in ("k", "left")]

    assert (502, "outcome-unknown") == (guarded.status, guarded.code)
    assert (502, "application/problem+json") == (
        plain.status,
        plain.values("content-type")[0],
    )
    assert [(409, "outcome-unknown")] * 2 == [(one.status, one.code) for one in retries]


@pytest.mark.parametrize("workers", [1, 2])
async def test_rules_are_read_again_on_hup(program, toml, toy, tmp_path, workers):
    text = toml("[[rule]]\nmatch = 'POST /**'\nmode = 'observe'\n", workers=workers)
    running = await program(text)
    await call(running.port, key="k")
    await call(running.port, key="k")

    (tmp_path / "keyonce.toml").write_text(text.replace("'observe'", "'enforce'"))
    running.signal(signal.SIGHUP)
    await asyncio.sleep(1)
    await call(running.port, key="l")
    second = await call(running.port, key="l")
    policy = (await asyncio.to_thread(running.page, "/policy"))[1]

    assert 3 == len(toy.seen)
    assert ["true"] == second.values("idempotency-replayed")
    assert "enforce" in policy


async def test_rules_that_cannot_be_read_change_nothing(program, toml, toy, tmp_path):
    running = await program(toml())
    (tmp_path / "keyonce.toml").write_text("rules = 1")

    running.signal(signal.SIGHUP)
    await asyncio.sleep(0.5)
    await call(running.port, key="k")
    await call(running.port, key="k")

    assert 1 == len(toy.seen)
    assert "the old one holds" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("which", ["listen", "admin"])
async def test_a_taken_port_is_a_clear_refusal(toml, tmp_path, which):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = await refusal(tmp_path, toml(**{which: f"127.0.0.1:{port}"}))

    assert 2 == status
    assert f"{which}: port {port} on 127.0.0.1 is taken" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"store": "memory://", "workers": 2}, "workers is 2"),
        ({"store": "mongodb://a"}, "mongodb"),
        ({"store": "sqlite:////no/such/folder/keys.db"}, "/no/such/folder"),
    ],
    ids=["memory for two", "unknown", "no folder"],
)
async def test_a_store_that_cannot_do_it_is_refused(toml, tmp_path, settings, says):
    status, said = await refusal(tmp_path, toml(**settings))

    assert 2 == status
    assert says in said
    assert "Traceback" not in said


async def test_a_parent_that_is_killed_takes_its_workers_along(program, toml):
    running = await program(toml(workers=2))
    workers = running.children()

    running.signal(signal.SIGKILL)
    await ended(running.process)
    gone = await eventually(lambda: not any(_alive(pid) for pid in workers))

    assert 2 == len(workers)
    assert gone


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def test_a_default_log_tells_what_somebody_has_to_look_at(
    program, toml, toy, tmp_path
):
    async def answers(seen, writer):
        if seen.target == "/dies":
            writer.close()
        writer.write(reply(b"ok", b"HTTP/1.1 200 OK\r\nkeyonce-outcome: foo\r\n"))

    toy.respond = answers
    running = await program(toml())

    for target in ("/dies", "/dies", "/steers"):
        await call(running.port, target=target, key="k-1")
    await call(running.port, target="/steers", key="k-1", body=b"other")

    lines = (tmp_path / "log").read_text().splitlines()
    assert 3 == len(lines), lines
    broke, unclear, ignored = lines
    assert "WARNING POST /dies: " in broke
    assert "[key=k-1 first]" in broke
    assert 'WARNING unclear key=k-1 operation="POST /dies"' in unclear
    assert "WARNING Keyonce-Outcome 'foo' was ignored" in ignored


async def test_a_default_log_tells_of_an_upstream_that_is_not_there(
    program, toml, tmp_path
):
    running = await program(toml(upstream=f"http://127.0.0.1:{free_port()}"))

    guarded = await call(running.port, key="k-1")
    plain = await call(running.port, "GET")

    assert (502, 502) == (guarded.status, plain.status)
    lines = (tmp_path / "log").read_text().splitlines()
    assert ["WARNING POST /orders:", "WARNING GET /orders:"] == [
        " ".join(line.split()[2:5]) for line in lines
    ]


async def test_the_log_names_the_key(program, toml, tmp_path):
    running = await program(toml(log_level="info", log_format="json"))

    await call(running.port, key="k-1")
    await call(running.port, key="k-1")

    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    turns = [
        line["idempotency_first"] for line in lines if line["idempotency_key"] == "k-1"
    ]
    assert ["first", "retry"] == turns


async def test_a_retry_that_waits_for_what_draining_cuts_off(program, toml, toy):
    begun = asyncio.Event()

    async def hang(seen, writer):
        begun.set()
        await asyncio.sleep(30)

    toy.respond = hang
    rule = "[[rule]]\nmatch = 'POST /**'\nin_flight = 'wait'\npatience = '20s'\n"
    running = await program(toml(rule, drain="1s"))
    first = asyncio.create_task(call(running.port, key="k"))
    await begun.wait()
    retry = asyncio.create_task(call(running.port, key="k"))
    await asyncio.sleep(0.3)

    running.signal(signal.SIGTERM)
    answers = [await first, await retry]

    assert [(502, "outcome-unknown"), (409, "outcome-unknown")] == [
        (answer.status, answer.code) for answer in answers
    ]
