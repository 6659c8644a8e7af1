# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Equal requests in great numbers, over real sockets and several processes."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.crash.app import PATHS

REQUEST = (
    b"POST %s HTTP/1.1\r\nHost: here\r\nX-Api-Key: tenant\r\nX-Seconds: 0.3\r\n"
    b"Idempotency-Key: storm\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
)


async def ask(port, path):
    """Send one request on a connection of its own; give status, receipt and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST % path.encode())
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    receipt = [line for line in lines if line.startswith(b"x-receipt")]
    replayed = b"idempotency-replayed: true" in lines
    return int(lines[0].split()[1]), tuple(receipt), body, replayed


async def storm(ports, path, each):
    async with asyncio.timeout(60):
        return await asyncio.gather(
            *(ask(port, path) for _ in range(each) for port in ports)
        )


@pytest.mark.parametrize("guarantee", PATHS)
async def test_fifty_at_once_in_one_process_are_one_execution(site, guarantee):
    worker = site.worker(in_flight="wait")

    answers = await storm([worker.port], f"/{guarantee}/payments", 50)

    assert 1 == len({answer[:3] for answer in answers})
    assert {False: 1, True: 49} == Counter(answer[3] for answer in answers)
    assert 201 == answers[0][0]
    assert (1, 1) == (site.ledger.runs("storm"), site.ledger.effects("storm"))


async def test_a_thousand_over_four_processes_are_one_execution(site):
    workers = [site.worker(in_flight="wait") for _ in range(4)]
    ports = [worker.port for worker in workers]

    answers = await storm(ports, "/at-least-once/payments", 250)

    assert 1 == len({answer[:3] for answer in answers})
    assert {False: 1, True: 999} == Counter(answer[3] for answer in answers)
    assert (1, 1) == (site.ledger.runs("storm"), site.ledger.effects("storm"))


async def test_the_impatient_thousand_are_told_to_come_back(site):
    workers = [site.worker(in_flight="reject") for _ in range(4)]
    ports = [worker.port for worker in workers]

    answers = await storm(ports, "/at-least-once/payments", 250)

    statuses = Counter(answer[0] for answer in answers)
    assert {201, 409} >= set(statuses)
    assert 1 == len({answer[:3] for answer in answers if answer[0] == 201})
    assert (1, 1) == (site.ledger.runs("storm"), site.ledger.effects("storm"))
