# SPDX-FileCopyrightText: 2026 The keyonce authors
# SPDX-License-Identifier: Apache-2.0
"""A sealed store can do what the store beneath can, and no more."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from keyonce.core.errors import RecordUnreadable
from keyonce.stores.memory import AsyncMemoryStore, MemoryStore
from keyonce.stores.sealed import AsyncSealed, Sealed
from keyonce.stores.sqlite import AsyncSQLiteStore, SQLiteStore
from keyonce.stores.tiered import MemoryCache, Tiered
from keyonce.testing.clock import FakeClock
from keyonce.testing.store_scenarios.cases import (
    ANSWER,
    ORDER,
    SECOND,
    claim_of,
    completed,
    completion_of,
)
from tests.stores.sealed.cases import DROPPED, RING, ROTATED, able, outcome

ABILITIES = {"announce", "folder", "glance", "joined", "watch"}


class Able(MemoryStore):
    """A memory that can do what only some stores can."""

    folder = "here"

    def watch(self, identity, wake):
        return ("watch", identity, wake)

    def announce(self, identity):
        return True

    def joined(self, connection):
        return Joined(self, connection)


class Joined:
    def __init__(self, store, connection):
        self._store = store
        self.connection = connection

    def claim(self, command, *, lock_timeout):
        return None if lock_timeout == 0 else self._store.claim(command)

    def complete(self, command):
        return self._store.complete(command)


class AsyncAble(AsyncMemoryStore):
    def joined(self, connection):
        return AsyncJoined(Joined(self._store, connection))


class AsyncJoined:
    def __init__(self, joined):
        self._joined = joined

    async def claim(self, command, *, lock_timeout):
        return self._joined.claim(command, lock_timeout=lock_timeout)

    async def complete(self, command):
        return self._joined.complete(command)


def abilities(store):
    return {name for name in ABILITIES if hasattr(store, name)}


def test_no_ability_is_made_up(tmp_path):
    file = AsyncSQLiteStore(tmp_path / "keyonce.db")

    assert {"announce", "watch"} == abilities(Sealed(MemoryStore(), RING))
    waiting = {"announce", "glance", "watch"}
    assert waiting == abilities(AsyncSealed(AsyncMemoryStore(), RING))
    assert {"folder", "glance", "joined"} == abilities(AsyncSealed(file, RING))
    assert {"folder", "joined"} == abilities(AsyncSealed(file, RING).blocking())
    assert ABILITIES - {"glance"} == abilities(Sealed(Able(), RING))
    asyncio.run(file.close())


def test_what_carries_no_outcome_passes_as_it_is():
    store = able(Sealed(Able(), RING))

    assert "here" == store.folder
    assert ("watch", ORDER, print) == store.watch(ORDER, print)
    assert store.announce(ORDER)


def test_a_cache_beneath_holds_envelopes(tmp_path):
    cache, file = MemoryCache(size=1024 * 1024), SQLiteStore(tmp_path / "keyonce.db")
    tiered = Tiered(cache, file)
    store = able(Sealed(tiered, RING))
    completed(store)

    answered = [store.claim(claim_of(owner=SECOND)).record.result for _ in range(2)]

    assert [ANSWER, ANSWER] == answered
    assert "2025" == outcome(tiered).sealed
    assert tiered.counts == store.counts
    assert store.counts["hit"] >= 1
    store.close()


def test_a_glance_opens():
    memory = MemoryStore(clock=FakeClock())
    completed(Sealed(memory, RING))

    assert (
        ANSWER
        == able(AsyncSealed(AsyncMemoryStore(memory), RING)).glance(ORDER).record.result
    )
    assert None is AsyncSealed(AsyncMemoryStore(), RING).glance(ORDER)
    with pytest.raises(RecordUnreadable):
        AsyncSealed(AsyncMemoryStore(memory), DROPPED).glance(ORDER)


def test_what_is_joined_seals_and_opens():
    memory = Able(clock=FakeClock())
    joined = able(Sealed(memory, RING)).joined("connection")
    joined.claim(claim_of(), lock_timeout=1)

    done = joined.complete(completion_of())

    assert ANSWER == done.result
    assert "2025" == outcome(memory).sealed
    again = claim_of(owner=SECOND)
    assert ANSWER == joined.claim(again, lock_timeout=1).record.result
    assert None is joined.claim(again, lock_timeout=0)


async def test_what_is_joined_in_a_loop_seals_and_opens():
    store = AsyncAble(clock=FakeClock())
    joined = able(AsyncSealed(store, RING)).joined("connection")
    await joined.claim(claim_of(), lock_timeout=1)

    done = await joined.complete(completion_of())

    assert ANSWER == done.result
    assert "2025" == able(store).glance(ORDER).record.result.sealed
    again = claim_of(owner=SECOND)
    assert ANSWER == (await joined.claim(again, lock_timeout=1)).record.result


def test_doctor_says_which_keys_there_are():
    found = Sealed(MemoryStore(), ROTATED).examine()[-1]

    assert ("ok", "sealing") == (found.level, found.subject)
    assert "under the key 2026" in found.detail
    assert "Older keys that open: 2025" in found.detail


def test_a_missing_package_is_told_with_its_extra():
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from keyonce.core.errors import ConfigurationError\n"
        "from keyonce.stores.memory import MemoryStore\n"
        "from keyonce.stores.sealed import KeyRing, Sealed\n"
        "from keyonce.stores.url import open_async_store, open_store\n"
        "ring = KeyRing({'1': b'k' * 32}, current='1')\n"
        "for opens in (\n"
        "    lambda: Sealed(MemoryStore(), ring),\n"
        "    lambda: open_store('sealed+sqlite:///not-made.db'),\n"
        "    lambda: open_async_store('sealed+sqlite:///not-made.db'),\n"
        "):\n"
        "    try:\n"
        "        opens()\n"
        "    except ConfigurationError as error:\n"
        "        print(error)\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert 3 == ran.stdout.count("pip install 'keyonce[crypto]'")
