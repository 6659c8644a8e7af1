# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever somebody writes into the cache: no wrong answer, no second execution."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyonce.core.model import Identity, StoredResult
from keyonce.core.states import Status
from keyonce.stores.memory import MemoryStore
from keyonce.stores.tiered import Tiered
from keyonce.stores.tiered.entries import written
from keyonce.stores.tiered.seals import Seals
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import HOUR, ORDER, SECOND, THIRD, claim_of
from tests.stores.tiered.samples import (
    SEALED,
    SECRET,
    OpenCache,
    asked_again,
    counted,
    done,
)

BOB = Identity("bob", ORDER.operation, ORDER.key)
OTHERS = StoredResult(200, ((b"x-of", b"bob"),), b"what bob bought", size=15)


class Scene:
    """Alice's order and bob's, both done, in a cache that anybody can write to."""

    def __init__(self):
        self.clock = FakeClock()
        self.cache = OpenCache()
        self.durable, self.calls = counted(MemoryStore(clock=self.clock))
        self.store = self.tiered(self.durable)
        self.alice = done(self.store)
        self.bob = done(self.store, BOB, result=OTHERS)
        self.shelf = self.store._shelf
        self.name = self.shelf.name_of(ORDER)
        self.good = self.cache.held[self.name]
        self.of_bob = self.cache.held[self.shelf.name_of(BOB)]
        self.calls.clear()

    def tiered(self, durable, **settings):
        return Tiered(self.cache, durable, clock=self.clock, **{**SEALED, **settings})

    def sealed_by(self, seals, content=None, name=None):
        inside = self.shelf.seals.opened(self.name, self.good)
        return seals.sealed(name or self.name, inside if content is None else content)

    def content_of(self, record):
        return written(record, self.clock() + HOUR)


def other_version(scene):
    return b"\2" + scene.good[1:]


def version_before(scene):
    return b"\0" + scene.good[1:]


def another_tenants(scene):
    return scene.of_bob


def another_tenants_sealed_for_this_name(scene):
    seals = Seals({"k1": SECRET}, "k1")
    return scene.sealed_by(seals, scene.content_of(scene.bob))


def of_another_prefix(scene):
    other = scene.tiered(scene.durable, prefix="staging")._shelf
    return scene.sealed_by(scene.shelf.seals, name=other.name_of(ORDER))


def without_a_key(scene):
    return scene.sealed_by(Seals())


def by_another_secret(scene):
    return scene.sealed_by(Seals({"k1": b"x" * 32}, "k1"))


def by_an_unknown_key(scene):
    return scene.sealed_by(Seals({"k2": SECRET}, "k2"))


def a_longer_body(scene):
    return scene.good.replace(b'{"id":1}', b'{"id":2}')


def cut(scene):
    return scene.good[:-1]


def prolonged(scene):
    return scene.good + b"\0"


def two_in_one(scene):
    return scene.good + scene.of_bob


def sealed_garbage(scene):
    return scene.sealed_by(Seals({"k1": SECRET}, "k1"), b"garbage")


def nothing(scene):
    return b""


def garbage(scene):
    return b"\x80\x04garbage" * 100


def a_pickle(scene):
    return b"cos\nsystem\n(S'true'\ntR."


def of_another_kind(scene):
    return b"\1\xff"


POISONS = [
    *(other_version, version_before, another_tenants, of_another_prefix),
    *(another_tenants_sealed_for_this_name, without_a_key, by_another_secret),
    *(by_an_unknown_key, a_longer_body, cut, prolonged, two_in_one, sealed_garbage),
    *(nothing, garbage, a_pickle, of_another_kind),
]


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.__name__)
def test_a_poisoned_entry_is_refused_and_the_durable_store_answers(poison):
    scene = Scene()
    scene.cache.held[scene.name] = poison(scene)

    claimed = asked_again(scene.store)

    assert scene.alice == claimed.record
    assert ["claim"] == scene.calls
    assert 1 == scene.store.counts["refused"]
    assert scene.good == scene.cache.held[scene.name]


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.__name__)
def test_a_poisoned_entry_keeps_nobody_from_running_what_has_not_run(poison):
    scene = Scene()
    new = ORDER._replace(key="order-2")
    scene.cache.held[scene.shelf.name_of(new)] = poison(scene)

    claimed = scene.store.claim(claim_of(new, SECOND))

    assert (Status.IN_PROGRESS, SECOND) == (claimed.record.status, claimed.record.owner)


def test_the_good_entry_of_this_scene_is_served():
    scene = Scene()

    claimed = asked_again(scene.store)

    assert (scene.alice, []) == (claimed.record, scene.calls)


def test_every_cut_is_refused():
    scene = Scene()

    for length in range(len(scene.good)):
        scene.cache.held[scene.name] = scene.good[:length]
        assert scene.alice == asked_again(scene.store).record

    assert len(scene.good) == scene.store.counts["refused"]


def test_an_older_entry_of_the_key_is_not_served_after_a_new_execution():
    scene = Scene()
    scene.clock.advance(HOUR)
    again = done(scene.store, owner=THIRD, result=StoredResult(204))
    scene.cache.held[scene.name] = scene.good

    claimed = asked_again(scene.store)

    assert again == claimed.record
    assert 204 == claimed.record.result.status


def test_an_older_entry_starts_no_execution_and_ends_none():
    scene = Scene()
    scene.clock.advance(HOUR)
    scene.store.claim(claim_of(owner=THIRD))
    scene.cache.held[scene.name] = scene.good

    claimed = asked_again(scene.store)

    assert (Status.IN_PROGRESS, THIRD) == (claimed.record.status, claimed.record.owner)


def test_entries_of_a_retired_key_are_served_while_it_is_known():
    scene = Scene()
    keys = {"k1": SECRET, "k2": b"y" * 32}
    rotated = scene.tiered(scene.durable, keys=keys, current_key="k2")
    rotated.find(BOB)
    scene.calls.clear()

    claimed = asked_again(rotated)

    assert (scene.alice, []) == (claimed.record, scene.calls)
    assert 1 == rotated.counts["hit"]


SCENE = Scene()


@st.composite
def mutations(draw):
    """What can be made of two good entries by somebody without the key."""
    entry = bytearray(draw(st.sampled_from([SCENE.good, SCENE.of_bob])))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(entry) - 1)))
        match draw(st.sampled_from(["flip", "cut", "insert", "splice", "double"])):
            case "flip" if entry:
                entry[at] ^= draw(st.integers(1, 255))
            case "cut":
                del entry[at : at + draw(st.integers(1, 64))]
            case "insert":
                entry[at:at] = draw(st.binary(max_size=64))
            case "splice":
                entry[at:] = SCENE.of_bob[at:]
            case "double":
                entry += entry[at:]
    return bytes(entry)


@given(mutations() | st.binary(max_size=512))
def test_no_mutation_is_ever_served(entry):
    began = time.monotonic()
    SCENE.cache.held[SCENE.name] = entry

    claimed = asked_again(SCENE.store)

    assert SCENE.alice == claimed.record
    assert time.monotonic() - began < 5


@given(st.binary(max_size=300), st.booleans())
def test_sealed_nonsense_is_no_record(content, headed):
    """Even from a writer who has the key: nothing but a refusal comes of it."""
    inside = SCENE.shelf.seals.opened(SCENE.name, SCENE.good)
    if headed:
        content = inside[: len(inside) // 2] + content
    SCENE.cache.held[SCENE.name] = SCENE.shelf.seals.sealed(SCENE.name, content)

    assert SCENE.alice == asked_again(SCENE.store).record
