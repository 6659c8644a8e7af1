# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.http.scope import shared
from keyonce.integrations import asgi, wsgi
from keyonce.integrations.gateway import folder_of
from keyonce.integrations.spool import SPILL_AT, SpillSpace, Spool
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.stores.url import open_async_store, open_store


def nothing(*_anything):
    return ()


def guard_with_memory(gateway):
    if gateway is asgi:
        return asgi.IdempotencyMiddleware(
            nothing, store=AsyncMemoryStore(), scope=shared("all")
        )
    return wsgi.IdempotencyMiddleware(nothing, store=MemoryStore(), scope=shared("all"))


@pytest.mark.parametrize("gateway", [asgi, wsgi])
def test_memory_is_refused_where_several_workers_are_asked_for(gateway, monkeypatch):
    monkeypatch.setenv("WEB_CONCURRENCY", "4")

    with pytest.raises(ConfigurationError, match="belongs to one process"):
        guard_with_memory(gateway)


@pytest.mark.parametrize("gateway", [asgi, wsgi])
def test_memory_is_warned_of_where_workers_cannot_be_seen(gateway, caplog, monkeypatch):
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)

    with caplog.at_level(logging.WARNING, logger="keyonce"):
        guard_with_memory(gateway)

    [line] = [r.getMessage() for r in caplog.records if r.name == "keyonce"]
    assert "run one worker" in line


def test_large_bodies_wait_beside_the_file_of_the_store(tmp_path):
    url = f"sqlite:///{tmp_path}/keys.db"
    store = open_store(url)

    assert tmp_path == folder_of(store)
    store.close()


async def test_large_bodies_wait_beside_the_file_of_an_async_store(tmp_path):
    store = open_async_store(f"sqlite:///{tmp_path}/keys.db")

    assert tmp_path == folder_of(store)
    await store.close()


def test_a_spill_file_is_made_in_the_folder_that_was_named(tmp_path):
    gone = tmp_path / "gone"
    spool = Spool(SpillSpace(gone))

    with pytest.raises(FileNotFoundError, match="gone"):
        spool.write(b"x" * (SPILL_AT + 1))

    spool.close()
