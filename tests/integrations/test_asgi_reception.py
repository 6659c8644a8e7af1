# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Hearing a client while its request waits loses none of its messages."""

from __future__ import annotations

import asyncio

import pytest

from keyonce.integrations.asgi_request import Reception

GONE = {"type": "http.disconnect"}
STRAY = {"type": "http.request", "body": b"", "more_body": False}


@pytest.fixture
def client():
    return asyncio.Queue()


async def test_a_disconnect_is_heard_again_and_again(client):
    reception = Reception(client.get)
    client.put_nowait(GONE)

    await reception.gone()

    assert [GONE, GONE] == [await reception(), await reception()]


async def test_who_stops_listening_leaves_the_message_to_the_next(client):
    reception = Reception(client.get)
    listening = asyncio.ensure_future(reception.gone())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    listening.cancel()
    await asyncio.wait([listening])

    client.put_nowait(GONE)

    assert GONE == await asyncio.wait_for(reception(), 20)


async def test_a_stray_message_is_no_disconnect(client):
    reception = Reception(client.get)
    for message in (STRAY, GONE):
        client.put_nowait(message)

    await asyncio.wait_for(reception.gone(), 20)

    assert client.empty()


async def test_closing_leaves_no_task(client):
    reception = Reception(client.get)
    listening = asyncio.ensure_future(reception.gone())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    listening.cancel()
    reception.close()
    await asyncio.wait([listening])
    await asyncio.sleep(0)

    assert {asyncio.current_task()} == asyncio.all_tasks()
