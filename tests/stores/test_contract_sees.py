# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""The contract finds the bugs that stores of this kind have had."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest

from keyonce.core.model import Claimed
from keyonce.core.states import Status
from keyonce.stores.memory import MemoryStore
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_contract import StoreContract


class CompletesForAnybody(MemoryStore):
    def complete(self, command):
        held = self.find(command.identity)
        owner = command.owner if held is None else held.record.owner
        return super().complete(command._replace(owner=owner))


class ReleasesForAnybody(MemoryStore):
    def release(self, identity, owner, reason, retention_for):
        held = self.find(identity)
        owner = owner if held is None else held.record.owner
        return super().release(identity, owner, reason, retention_for)


class RenewsForAnybody(MemoryStore):
    def renew(self, identity, owner):
        held = self.find(identity)
        return super().renew(identity, owner if held is None else held.record.owner)


class ForgetsWhoAskedBefore(MemoryStore):
    def claim(self, command):
        claimed = super().claim(command)
        if claimed.record.owner == command.owner:
            renewed = super().renew(command.identity, command.owner)
            return Claimed(renewed or claimed.record, claimed.now)
        return claimed


class TakesOverWithoutAWitness(MemoryStore):
    def claim(self, command):
        held = self.find(command.identity)
        if held is not None:
            command = command._replace(witnessed=held.record.lease_until)
        return super().claim(command)


class FoldsCase(MemoryStore):
    def claim(self, command):
        folded = command.identity._replace(key=command.identity.key.casefold())
        return super().claim(command._replace(identity=folded))


class ForgetsTheScope(MemoryStore):
    def find(self, identity):
        return super().find(identity._replace(scope="alice"))


class ReadsZeroAsNever(MemoryStore):
    def complete(self, command):
        return super().complete(command._replace(late_for=command.late_for or 60.0))


class LosesDuplicateHeaders(MemoryStore):
    def complete(self, command):
        headers = tuple(dict(command.result.headers).items())
        result = replace(command.result, headers=headers)
        return super().complete(command._replace(result=result))


class PurgesWhatRuns(MemoryStore):
    def purge(self, limit=1000):
        for identity in list(self._shelf.records):
            if self._shelf.records[identity].status is Status.IN_PROGRESS:
                del self._shelf.records[identity]
        return super().purge(limit)


class PurgesWithoutEnd(MemoryStore):
    def purge(self, limit=1000):
        return super().purge(1000)


class ShowsWhatExpired(MemoryStore):
    def find(self, identity):
        record = self._shelf.records.get(identity)
        return None if record is None else Claimed(record, self._shelf.clock())


class KeepsNoAudit(MemoryStore):
    def settle(self, command):
        settled = super().settle(command)
        self._shelf.audits.clear()
        return settled


class ListsOutcomes(MemoryStore):
    def records(self, query):
        return [self._shelf.records[r.identity] for r in super().records(query)]


PLANTED = [
    CompletesForAnybody,
    ReleasesForAnybody,
    RenewsForAnybody,
    ForgetsWhoAskedBefore,
    TakesOverWithoutAWitness,
    FoldsCase,
    ForgetsTheScope,
    ReadsZeroAsNever,
    LosesDuplicateHeaders,
    PurgesWhatRuns,
    PurgesWithoutEnd,
    ShowsWhatExpired,
    KeepsNoAudit,
    ListsOutcomes,
]


def broken_scenarios(make):
    """The scenarios that a store does not live up to."""
    broken = []
    for name, scenario in inspect.getmembers(StoreContract, inspect.isfunction):
        if not name.startswith("test_"):
            continue
        clock = FakeClock()
        given = {"store": make(clock=clock), "clock": clock}
        wanted = inspect.signature(scenario).parameters.keys() - {"self"}
        try:
            scenario(StoreContract(), **{each: given[each] for each in wanted})
        except (AssertionError, AttributeError):
            broken.append(name)
    return broken


@pytest.mark.parametrize("store", PLANTED)
def test_the_contract_sees(store):
    assert broken_scenarios(store)


def test_the_contract_lets_a_good_store_pass():
    assert [] == broken_scenarios(MemoryStore)
