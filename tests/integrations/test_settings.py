# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from keyonce.core.errors import ConfigurationError
from keyonce.http.operation import Rule
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


@pytest.mark.parametrize("gateway", [asgi, wsgi])
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"store_timeout": 5}, "store_timeout is a timedelta longer than zero"),
        ({"store_timeout": timedelta(0)}, "store_timeout is a timedelta longer"),
        ({"rules": ["POST /a"]}, "rules holds Rule values, not 'POST /a'"),
        ({"rules": Rule("POST /a")}, "rules is a list"),
        ({"rules": None}, "rules is a list"),
        ({"rules": []}, "nothing would be guarded"),
        ({"scope": None}, "scope says whose key it is"),
    ],
)
def test_a_setting_that_cannot_work_is_told_at_once(gateway, setting, said):
    memory = AsyncMemoryStore() if gateway is asgi else MemoryStore()
    settings = {"store": memory, "scope": shared("all"), **setting}

    with pytest.raises(ConfigurationError, match=said):
        gateway.IdempotencyMiddleware(nothing, **settings)


def test_a_store_for_threads_is_refused_on_a_loop():
    store: Any = MemoryStore()

    with pytest.raises(ConfigurationError, match="Take AsyncMemoryStore"):
        asgi.IdempotencyMiddleware(nothing, store=store, scope=shared("all"))


def test_a_store_for_loops_is_refused_in_threads():
    store: Any = AsyncMemoryStore()

    with pytest.raises(ConfigurationError, match="Take MemoryStore"):
        wsgi.IdempotencyMiddleware(nothing, store=store, scope=shared("all"))
