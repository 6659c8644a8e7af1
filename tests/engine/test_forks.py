# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""After a fork the first threads of the child meet: they begin anew once."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from keyonce.core.events import NoObserver
from keyonce.engine.flights import Flights
from keyonce.engine.heartbeat import Heartbeat
from keyonce.stores.memory import MemoryStore


@pytest.fixture(params=["flights", "heartbeat"])
def inherited(request):
    made = (
        Flights()
        if request.param == "flights"
        else Heartbeat(MemoryStore, NoObserver())
    )
    made._process = -1
    return made


def test_the_process_is_noted_when_all_is_new(inherited, monkeypatch):
    named = []

    def note(self, name, value):
        named.append(name)
        object.__setattr__(self, name, value)

    monkeypatch.setattr(type(inherited), "__setattr__", note, raising=False)
    inherited._after_fork()

    assert len(named) > 2
    assert "_process" == named[-1]


def test_of_many_threads_one_begins_anew(inherited, monkeypatch):
    begun = []
    reset = type(inherited)._reset

    def slowly(self):
        begun.append(threading.get_ident())
        time.sleep(0.05)
        reset(self)

    monkeypatch.setattr(type(inherited), "_reset", slowly)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(inherited._after_fork)

    assert 1 == len(begun)
    assert os.getpid() == inherited._process
