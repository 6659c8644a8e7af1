# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""After a fork the first threads of the child meet: they begin anew once."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from keyonce.stores.sqlite import AsyncSQLiteStore
from keyonce.stores.sqlite.connections import Connections
from keyonce.stores.sqlite.group import GroupWriter
from keyonce.stores.sqlite.upkeep import Upkeep

PARTS = {
    "writer": (lambda store: store._writer, GroupWriter, "_pid", "_after_fork"),
    "upkeep": (lambda store: store._database.upkeep, Upkeep, "_pid", "_after_fork"),
    "connections": (
        lambda store: store._database.connections,
        Connections,
        "pid",
        "after_in_child",
    ),
}


@pytest.fixture(params=list(PARTS.values()), ids=list(PARTS))
def part(request, tmp_path):
    find, *rest = request.param
    return find(AsyncSQLiteStore(tmp_path / "keyonce.db")), *rest


def test_the_process_is_noted_when_all_is_new(part, monkeypatch):
    inherited, kind, pid, after_fork = part
    setattr(inherited, pid, -1)
    named = []

    def note(self, name, value):
        named.append(name)
        object.__setattr__(self, name, value)

    monkeypatch.setattr(kind, "__setattr__", note, raising=False)
    getattr(inherited, after_fork)()

    assert len(named) > 3
    assert pid == named[-1]


def test_of_many_threads_one_begins_anew(part, monkeypatch):
    inherited, kind, pid, after_fork = part
    setattr(inherited, pid, -1)
    begun = []
    reset = kind._reset

    def slowly(self):
        begun.append(threading.get_ident())
        time.sleep(0.05)
        reset(self)

    monkeypatch.setattr(kind, "_reset", slowly)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(getattr(inherited, after_fork))

    assert 1 == len(begun)
    assert os.getpid() == getattr(inherited, pid)
