# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A store that is opened by its URL tries for as long as whoever opens it says."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import time
from base64 import b64encode
from contextlib import closing
from datetime import timedelta

import pytest

from keyonce.core.errors import StoreUnavailable
from keyonce.core.model import Identity
from keyonce.stores.tiered.address import tiered_url
from keyonce.stores.url import open_async_store, open_store

BRIEFLY = timedelta(seconds=0.4)
ITS_OWN = 5.0
SOON = 3.5  # libpq gives a server two seconds to be connected to, at least
NOBODY = Identity("me", "POST /pay", "k-12345678")
SERVERS = [
    "postgresql://me@127.0.0.1:{port}/shop",
    "mysql://me@127.0.0.1:{port}/shop",
    "redis://127.0.0.1:{port}/0",
    "dynamodb://table?region=eu-central-1&endpoint=http://127.0.0.1:{port}",
]


@pytest.fixture
def silent(monkeypatch):
    """The port of a server that takes connections and never says a word."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def asked(url):
    """Open the store of *url* for threads and read from it."""
    with closing(open_store(url, store_timeout=BRIEFLY)) as store:
        store.find(NOBODY)


def asked_from_a_loop(url):
    """Open the store of *url* for event loops and read from it."""

    async def ask():
        store = open_async_store(url, store_timeout=BRIEFLY)
        try:
            await store.find(NOBODY)
        finally:
            await store.close()

    asyncio.run(ask())


def patience(ask, url):
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        ask(url)
    return time.monotonic() - began


@pytest.mark.parametrize("ask", [asked, asked_from_a_loop])
@pytest.mark.parametrize("server", SERVERS)
def test_a_silent_server_is_waited_for_no_longer_than_said(ask, server, silent):
    assert patience(ask, server.format(port=silent)) < SOON < ITS_OWN


@pytest.mark.parametrize("ask", [asked, asked_from_a_loop])
def test_a_tiered_or_sealed_store_hands_it_on(ask, silent, monkeypatch):
    key = b64encode(bytes(32)).decode()
    monkeypatch.setenv("KEYONCE_SEAL_KEYS", f"now:{key}")
    durable = f"redis://127.0.0.1:{silent}/0"

    took = patience(ask, "sealed+" + tiered_url("memory://", durable))

    assert took < SOON < ITS_OWN


@pytest.mark.parametrize("ask", [asked, asked_from_a_loop])
def test_a_file_that_others_hold_is_waited_for_no_longer_than_said(ask, tmp_path):
    path = tmp_path / "keys.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")

        took = patience(ask, f"sqlite:///{path}")

    assert took < SOON < ITS_OWN
