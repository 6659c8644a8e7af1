# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A store that breaks a promise is found by the lives that stand on it."""

from __future__ import annotations

import pytest

from keyonce.core.guarantee import Guarantee
from keyonce.core.model import Settlement, StoredResult
from keyonce.stores.memory import MemoryStore
from keyonce.testing.faults import FaultPlan
from tests.nth_call import places
from tests.nth_call.life import Life
from tests.nth_call.places import Place


class RunsAgain(MemoryStore):
    """Takes every lapsed lease over, whatever was promised."""

    def claim(self, command):
        return super().claim(command._replace(guarantee=Guarantee.AT_LEAST_ONCE))


class Forgetful(MemoryStore):
    """Acknowledges an outcome that it does not keep."""

    def complete(self, command):
        done = super().complete(command)
        super().settle(Settlement(command.identity, "gone", "nobody", forgets=True))
        return done


class Mixed(MemoryStore):
    """Replays another outcome than the one that it was given."""

    def complete(self, command):
        mixed = StoredResult(0, body=b'{"order": "another"}', size=20)
        done = super().complete(command._replace(result=mixed))
        return done and done._replace(result=command.result)


@pytest.mark.parametrize("store", [RunsAgain, Forgetful, Mixed])
def test_it_is_found(store, monkeypatch):
    monkeypatch.setitem(
        places.OPEN, "memory", lambda _place, clock, *, aio: store(clock=clock)
    )

    with pytest.raises(AssertionError):
        life = Life(
            Place("memory"), Guarantee.AT_MOST_ONCE, FaultPlan(), "planted", aio=False
        )
        life.lives()
