# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Keys, and caches and stores that a test can look into."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from keyonce.core.states import Status
from keyonce.testing.faults import AsyncFaultyStore, FaultPlan, FaultyStore
from keyonce.testing.store_scenarios.cases import (
    FIRST,
    ORDER,
    SECOND,
    claim_of,
    completion_of,
)

SECRET = b"0123456789abcdef0123456789abcdef"
SEALED: dict[str, Any] = {
    "keys": {"k1": SECRET},
    "current_key": "k1",
    "prefix": "keyonce",
}

# Where a timeout is not what a test is about, a busy machine must not be one.
patient = timedelta(seconds=5)


class OpenCache:
    """A cache that anybody may write to: `held` is all of it."""

    shared = True
    immediate = True

    def __init__(self):
        self.held = {}
        self.asked = 0

    def get(self, name):
        self.asked += 1
        return self.held.get(name)

    def put(self, name, entry, seconds):
        self.held[name] = entry

    def drop(self, name):
        self.held.pop(name, None)

    def close(self):
        pass


class BrokenCache(OpenCache):
    """A cache that does nothing but fail."""

    def get(self, name):
        self.asked += 1
        raise OSError("gone")

    def put(self, name, entry, seconds):
        self.get(name)

    def drop(self, name):
        self.get(name)


def counted(store):
    """Give *store*, and the calls that reach it."""
    plan = FaultPlan()
    return FaultyStore(store, plan), plan.calls


def counted_async(store):
    plan = FaultPlan()
    return AsyncFaultyStore(store, plan), plan.calls


def done(store, identity=ORDER, owner=FIRST, **about):
    """Claim and complete a key; its record."""
    claimed = store.claim(claim_of(identity, owner))
    assert owner == claimed.record.owner
    record = store.complete(completion_of(identity, owner, **about))
    assert Status.COMPLETED is record.status
    return record


def asked_again(store, identity=ORDER, owner=SECOND):
    return store.claim(claim_of(identity, owner))
