# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Inboxes over the memory store, whose clock a test turns, and over SQLite."""

from __future__ import annotations

import pytest

from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.testing.clock import FakeClock
from tests.inbox.faces import Loops, Threads, connected


@pytest.fixture(params=[Threads, Loops], ids=["threads", "loops"])
def face(request):
    return request.param


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store(face, clock):
    kind = MemoryStore if face is Threads else AsyncMemoryStore
    return kind(clock=clock)


@pytest.fixture
async def opened(face, store):
    """Opens inboxes of any settings over one memory store."""
    made = []

    def opened(**settings):
        made.append(face(store, **settings))
        return made[-1]

    yield opened
    for each in made:
        await each.close()


@pytest.fixture
def path(tmp_path):
    """A database of charges."""
    path = tmp_path / "billing.db"
    path.touch(mode=0o600)
    with connected(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE charges (name TEXT)")
    return path


@pytest.fixture
async def beside(face, path):
    """An inbox in that database."""
    store = face.open(f"sqlite:///{path}")
    beside = face(store)
    yield beside
    await beside.close()
    closing = store.close()
    if closing is not None:
        await closing
